"""Calibration of a channel from its first frames: grey levels per photo-electron, camera offset, read noise.

What it is for: to say in photons how bright the specimen is, and to say when that cannot be known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.models.dark_light import DarkLight, dark_light
from quietscope.models.hot_pixels import find_hot_pixels
from quietscope.models.noise import LARGEST, NoiseReport, clean, measure_noise
from quietscope.models.noise_spectrum import NoiseSpectrum, noise_spectrum
from quietscope.models.photon_transfer import PhotonTransfer, photon_transfer
from quietscope.models.stillness import BLOCK, moving_blocks
from quietscope.models.twins import split_diagonal

__all__ = ["Calibration", "calibrate"]

MAX_FRAMES = 6
"""Frames that are looked at: all of them, or else three pairs of consecutive ones, spread over the series."""

MAX_PIXELS = 1 << 18
"""Pixels of a frame that are looked at; larger frames are thinned out to bands of rows."""

BAND = 64
"""Rows of a band, a multiple of the patches of all measures."""

READ_NOISE = 2.0
"""Photo-electrons of read noise that a camera is expected to have at most.

Scientific CMOS cameras have 0.7 to 2, EMCCDs and photon counters less. It counts only where skewness is silent.
"""

GAIN_ERROR = 0.15
"""Relative standard error of the gain above which it is not known."""

STILL = 0.005
"""Share of moving blocks below which differences of two frames are taken pixel by pixel.

Fixed specimens measured at most 0.003, living cells more than 0.1 (`quietscope.models.stillness`).
"""

BRIGHTEST = 0.01
"""Share of the pixels that are the brightest structures; their mean is close to the 99.5th percentile."""

Float32 = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Calibration:
    """What the first frames say about camera, light and noise.

    Parameters
    ----------
    gain
        Grey levels per photo-electron; 0 if the noise does not grow with the brightness. For detectors that
        multiply (EMCCD, photomultiplier) the apparent gain, their excess noise included.
    gain_error
        Relative standard error of the gain; 1 if there is none.
    offset
        Grey level without light.
    offset_error
        Standard error of the offset, grey levels.
    offset_range
        Lowest and highest offset that the frames allow: no read noise at all, or no light in the darkest place.
    read_noise
        Standard deviation without light, grey levels, rounding included.
    variance_slope, variance_intercept
        Noise variance of a pixel = slope · mean + intercept; grey levels, grey levels squared.
    noise
        Correlations of the noise.
    lag_correlations
        Correlation of the noise with itself 1 to 4 pixels away, mean of both axes.
    saturated_share
        Share of the pixels at the upper end of the grey scale.
    hot_pixels
        Number of hot pixels; extrapolated from a part of frames of more than 2¹⁸ pixels.
    photons
        Photo-electrons per pixel, mean of the brightest hundredth of the pixels; 0 if the gain is 0.
    doubts
        Reasons, in words, why gain and photons must not be relied on; empty if they may.
    offset_known
        Whether the offset's error is at most one photon, or a tenth of `photons`.
    structure_only
        Whether neighbours are alike because of structure and not because of noise.
    """

    gain: float
    gain_error: float
    offset: float
    offset_error: float
    offset_range: tuple[float, float]
    read_noise: float
    variance_slope: float
    variance_intercept: float
    noise: NoiseReport
    lag_correlations: tuple[float, float, float, float]
    saturated_share: float
    hot_pixels: int
    photons: float
    doubts: tuple[str, ...]
    offset_known: bool
    structure_only: bool

    @property
    def neighbour_correlation(self) -> float:
        """Correlation of the noise of adjacent pixels, mean of both axes."""
        return self.noise.neighbour_correlation

    @property
    def twin_correlation(self) -> float:
        """Correlation of the noise of both diagonal twins."""
        return self.noise.twin_correlation

    @property
    def reliable(self) -> bool:
        """Whether gain, offset and photons may be relied on."""
        return not self.doubts and self.offset_known

    @property
    def words(self) -> str:
        """The finding for the person at the microscope, in one or two sentences."""
        if self.structure_only and not self.noise.independent:
            shared = (
                f"neighbours look alike ({self.neighbour_correlation:.2f}), but that is structure: "
                "no place is flat enough to compare their noise"
            )
        else:
            shared = self.noise.words
        if self.doubts:
            return f"photons cannot be counted: {' and '.join(self.doubts)}; {shared}"
        low, high = self.offset_range
        offset = f"{self.offset:.0f}" if self.offset_known else f"between {low:.0f} and {high:.0f}"
        more = "more than " if self.saturated_share > BRIGHTEST / 4 else "about "
        return (
            f"{more}{_plain(self.photons)} photons per pixel in the brightest structures (gain {_plain(self.gain)} grey "
            f"levels per photon, camera offset {offset}, read noise {self.read_noise / self.gain:.1f} electrons); "
            f"{shared}"
        )

    @property
    def figures(self) -> dict[str, float]:
        """All figures by name, finite."""
        lags = {f"lag_correlation_{n}": value for n, value in enumerate(self.lag_correlations, start=1)}
        return {
            "gain": self.gain,
            "gain_error": self.gain_error,
            "offset": self.offset,
            "offset_error": self.offset_error,
            "offset_low": self.offset_range[0],
            "offset_high": self.offset_range[1],
            "read_noise": self.read_noise,
            "variance_slope": self.variance_slope,
            "variance_intercept": self.variance_intercept,
            "noise_std": self.noise.std,
            "neighbour_correlation": self.neighbour_correlation,
            "twin_correlation": self.twin_correlation,
            **lags,
            "saturated_share": self.saturated_share,
            "hot_pixels": float(self.hot_pixels),
            "photons": self.photons,
            "gain_known": float(not self.doubts),
            "offset_known": float(self.offset_known),
        }


def calibrate(frames: Sequence[NDArray[Any]]) -> Calibration:
    """Measure gain, offset, read noise and correlation of the noise on pictures of the specimen itself.

    The variance of the noise is a straight line of the brightness (`quietscope.models.photon_transfer`); its
    slope is the gain. The noise is taken from differences of consecutive frames where the scene holds still;
    from third differences of these where it moves; from third differences of the frame if there is one only,
    or if consecutive frames are copies. Third differences of correlated noise are too small; the factor is
    measured in flat places, and left out where those are no flatter than the specimen.

    The line alone does not say where zero light is: *gain · offset + intercept = (read noise)²* has two
    unknowns. What is certain is a range: the read noise is not negative, so the offset is at least −intercept /
    gain; light is not negative, so it is at most the darkest level of the frames. Within it the skewness of the
    noise in the darkest places decides (`quietscope.models.dark_light`), weighted against the expectation that
    the variance there is read noise up to 2 electrons and light beyond.

    Parameters
    ----------
    frames
        Frames (Y, X) of one channel in time order, real dtype, of one shape; at least one, and six are enough.
        Pixels that are no finite numbers are left out.

    Returns
    -------
    Calibration
        Finite figures for every input; `doubts` says what must not be relied on.

    Raises
    ------
    quietscope.config.ModelError
        If there is no frame, or one without pixels.
    """
    if not frames or frames[0].size == 0:
        msg = "calibration needs at least one frame with pixels, and there is none; give the first frames of the series"
        raise ModelError(msg)
    places = _places(len(frames))
    native = [_thinned(frames[place]) for place in places]
    planes = [clean(frame) for frame in native]
    ceiling, floor = _ends(native)
    report = measure_noise(planes)
    spectrum = noise_spectrum(planes)
    hot = find_hot_pixels(planes) if min(planes[0].shape) > 1 else np.zeros(planes[0].shape, np.bool_)
    clipped = [(plane >= ceiling) | (plane <= floor) for plane in planes]
    excluded = [
        ~(np.abs(frame) <= LARGEST) if frame.dtype.kind == "f" else np.zeros(frame.shape, np.bool_)
        for frame in native
    ]
    line = _transfer(planes, places, excluded, clipped, report, spectrum)
    dark = DarkLight(0.0, 0.0, float("inf"))
    if line.slope > 0:
        dark = dark_light(_bands(planes[:4]), gain=line.slope, excluded=_bands(excluded[:4]))
    saturated = float(np.mean([np.mean(plane >= ceiling) for plane in planes]))
    thinning = frames[0].size / planes[0].size
    return _finding(
        line, dark, report, spectrum, _brightest(planes), saturated, round(np.count_nonzero(hot) * thinning)
    )


def _transfer(
    planes: list[Float32],
    places: list[int],
    excluded: list[Mask],
    clipped: list[Mask],
    report: NoiseReport,
    spectrum: NoiseSpectrum,
) -> PhotonTransfer:
    """Photon-transfer line from the best view of the noise that the frames offer."""
    pairs = [
        (a, b)
        for a, b in pairwise(range(len(planes)))
        if places[b] == places[a] + 1 and not np.array_equal(planes[a], planes[b])
    ]
    factor = min(spectrum.fine_share, 1.0) if spectrum.genuine else 1.0
    if not pairs:
        view = {
            "noise": _bands(planes[:1]),
            "planes": _bands(planes[:1]),
            "excluded": _bands(excluded[:1]),
            "clipped": _bands(clipped[:1]),
        }
        line = _scaled(photon_transfer(**view, order=3), factor)
        # structure that is left shrinks from order to order
        coarser = _scaled(photon_transfer(**view, order=2), factor ** (8 / 9))
        return replace(
            line, slope_error=float(np.hypot(line.slope_error, max(0.0, coarser.slope - line.slope)))
        )
    blocks = {
        (a, b): moving_blocks(planes[a], planes[b], correlation_factor=report.coarse_null) for a, b in pairs
    }
    still = [pair for pair in pairs if blocks[pair].mean() < STILL]
    chosen = (still or pairs)[:3]
    stack = {
        "noise": [(planes[b] - planes[a]) * np.float32(0.5**0.5) for a, b in chosen],
        "planes": [(planes[a] + planes[b]) * np.float32(0.5) for a, b in chosen],
        "excluded": [excluded[a] | excluded[b] for a, b in chosen],
        "clipped": [clipped[a] | clipped[b] for a, b in chosen],
    }
    if still:
        stack["excluded"] = [
            mask | _spread(blocks[pair], mask.shape)
            for mask, pair in zip(stack["excluded"], chosen, strict=True)
        ]
    line = photon_transfer(
        **{name: _bands(values) for name, values in stack.items()}, order=0 if still else 3
    )
    return line if still else _scaled(line, factor)


def _finding(
    line: PhotonTransfer,
    darkest: DarkLight,
    report: NoiseReport,
    spectrum: NoiseSpectrum,
    brightest: float,
    saturated: float,
    hot: int,
) -> Calibration:
    """Turn the line into camera figures and say what they are worth."""
    structure_only = not spectrum.genuine
    gain = max(line.slope, 0.0)
    error = min(line.slope_error / gain, 1.0) if gain > 0 else 1.0
    in_the_dark = line.slope * line.dark + line.intercept
    if gain > 0 and error < 0.5:
        lowest = -line.intercept / gain
        highest = max(line.dark, lowest)
        offset, offset_error = _offset(lowest, highest, gain, error, darkest)
        read_noise = max(gain * offset + line.intercept, 0.0) ** 0.5
        photons = max(0.0, (brightest - offset) / gain)
    else:
        gain, error, photons = 0.0, 1.0, 0.0
        lowest = highest = offset = line.dark
        offset_error = 0.0
        read_noise = max(in_the_dark, 0.0) ** 0.5
    doubts = _doubts(line, gain, error, report.independent or structure_only, saturated)
    return Calibration(
        gain=gain,
        gain_error=error,
        offset=offset,
        offset_error=offset_error,
        offset_range=(lowest, highest),
        read_noise=read_noise,
        variance_slope=line.slope,
        variance_intercept=line.intercept,
        noise=report,
        lag_correlations=spectrum.lag_correlations,
        saturated_share=saturated,
        hot_pixels=hot,
        photons=photons,
        doubts=doubts,
        offset_known=gain > 0 and offset_error <= gain * max(1.0, photons / 10),
        structure_only=structure_only,
    )


def _offset(
    lowest: float, highest: float, gain: float, gain_error: float, darkest: DarkLight
) -> tuple[float, float]:
    """Offset within its range, and its standard error: skewness against expectation."""
    expected = lowest + gain * min(READ_NOISE**2, (highest - lowest) / gain)
    expected_weight = 1 / (gain * READ_NOISE**2 / 2) ** 2
    skewed = darkest.level - gain * darkest.photons
    skewed_error = gain * float(np.hypot(darkest.error, 3 * gain_error * darkest.photons))
    skewed_weight = 1 / max(skewed_error, 1e-3 * gain) ** 2
    mean = (expected * expected_weight + skewed * skewed_weight) / (expected_weight + skewed_weight)
    return min(max(mean, lowest), highest), min(skewed_error, (highest - lowest) / 2)


def _doubts(
    line: PhotonTransfer, gain: float, error: float, independent: bool, saturated: float
) -> tuple[str, ...]:
    if not line.variances.any():
        if saturated > 0.5:
            return ("the frames are saturated",)
        return ("the frames hold no noise",)
    doubts = []
    if not independent:
        doubts.append("neighbouring pixels share their noise")
    if saturated > 0.5:
        doubts.append(f"{saturated:.0%} of the pixels are saturated")
    if gain == 0 or error > GAIN_ERROR:
        doubts.append("the noise does not grow with the brightness, or the frames hold too few levels of it")
    return tuple(doubts)


def _places(count: int) -> list[int]:
    """Frames to look at: all, or three pairs of consecutive ones."""
    if count <= MAX_FRAMES:
        return list(range(count))
    starts = (0, (count - 2) // 2, count - 2)
    return [place for start in starts for place in (start, start + 1)]


def _thinned(frame: NDArray[Any]) -> NDArray[Any]:
    """Bands of rows, evenly spread, one below the other; the frame itself where it is small enough."""
    height, width = frame.shape
    count = max(1, MAX_PIXELS // (BAND * max(width, 1)))
    if height <= (count + 1) * BAND:
        return frame
    starts = np.linspace(0, height - BAND, count).astype(int) if count > 1 else [(height - BAND) // 2]
    return np.concatenate([frame[start : start + BAND] for start in starts])


def _bands(planes: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Stack of planes, cut where `_thinned` has put bands together."""
    stack = np.stack(planes)
    _, height, width = stack.shape
    if height > BAND and height % BAND == 0:
        return stack.reshape(-1, BAND, width)
    return stack


def _ends(frames: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """Upper and lower end of the grey scale, infinite where no pixel has reached it.

    The ends of the dtype, 2ⁿ − 1 grey levels, and plateaus: an extreme value that several times as many pixels
    have as the value next to it.
    """
    values = np.concatenate([frame.ravel() for frame in frames])
    if values.dtype.kind == "f":
        values = values[np.abs(values) <= LARGEST]
    if values.size == 0:
        return np.inf, -np.inf
    top, bottom = values.max(), values.min()
    ceiling, floor = _plateau(values, top, upper=True), _plateau(values, bottom, upper=False)
    if values.dtype.kind in "iu":
        limits = np.iinfo(values.dtype)
        ceiling |= int(top) in {2**bits - 1 for bits in range(8, limits.bits + 1)} or top == limits.max
        floor |= bottom == limits.min
    return (float(top) if ceiling else np.inf), (float(bottom) if floor else -np.inf)


def _plateau(values: NDArray[Any], end: Any, *, upper: bool) -> bool:
    rest = values[values != end]
    if rest.size == 0:
        return False
    count = values.size - rest.size
    following = np.count_nonzero(rest == (rest.max() if upper else rest.min()))
    return bool(count > 10 and count > 3 * following)


def _spread(blocks: Mask, shape: tuple[int, ...]) -> Mask:
    """Blocks and their neighbours as pixels of a frame of `shape`."""
    around = np.pad(blocks, 1)
    rows, columns = blocks.shape
    grown = np.zeros_like(blocks)
    for i in range(3):
        for j in range(3):
            grown |= around[i : i + rows, j : j + columns]
    pixels = np.repeat(np.repeat(grown, BLOCK, axis=0), BLOCK, axis=1)
    return pixels[: shape[0], : shape[1]]


def _scaled(line: PhotonTransfer, factor: float) -> PhotonTransfer:
    """Line of a noise whose variance was measured too small by `factor`."""
    return PhotonTransfer(
        line.slope / factor,
        line.intercept / factor,
        line.slope_error / factor,
        line.dark,
        line.means,
        line.variances / factor,
    )


def _brightest(planes: list[Float32]) -> float:
    """Mean grey level of the brightest pixels: chosen in one twin, read off in the other, which shares no noise."""
    mean = np.mean(planes, axis=0, dtype=np.float32)
    if min(mean.shape) < 2:
        return float(mean.max())
    a, b = split_diagonal(mean)
    levels = []
    for chooser, measured in ((a, b), (b, a)):
        padded = np.pad(chooser, 1, mode="edge")
        rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
        smooth = rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]
        levels.append(float(measured[smooth >= np.quantile(smooth, 1 - BRIGHTEST)].mean(dtype=np.float64)))
    return sum(levels) / 2


def _plain(number: float) -> str:
    """Two digits, without an exponent."""
    return f"{float(f'{number:.2g}'):,g}".replace(",", "")
