"""Calibration of a channel from its first frames: grey levels per photo-electron, camera offset, read noise.

What it is for: to say in photons how bright the specimen is, and to say when that cannot be known.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.models.camera_offset import CameraOffset, camera_offset
from quietscope.models.first_frames import first_frames
from quietscope.models.hot_pixels import find_hot_pixels, repair
from quietscope.models.noise import NoiseReport, measure_noise
from quietscope.models.noise_line import noise_line
from quietscope.models.noise_spectrum import NoiseSpectrum, noise_spectrum
from quietscope.models.photon_transfer import PhotonTransfer
from quietscope.models.twins import split_diagonal

__all__ = ["Calibration", "calibrate"]

GAIN_ERROR = 0.15
"""Relative standard error of the gain above which it is not known, and above three times which there is none."""

UNCLEAR = 0.6
"""Share of third differences below which neighbours may share enough noise to spoil the gain of a single frame."""

BRIGHTEST = 0.01
"""Share of the pixels that are the brightest structures; their mean is close to the 99.5th percentile."""

MEASURED = 3
"""Frames that correlation and skewness are measured on."""

Float32 = NDArray[np.float32]


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
        Number of hot pixels; extrapolated from a part of frames of more than 2¹⁹ pixels. A single frame of
        few photons counts lonely photons too.
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

    def is_correlated(self, limit: float) -> bool:
        """Whether neighbours share more noise than the twin correlation `limit` says, and not only structure."""
        return self.twin_correlation > limit and not self.structure_only

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
        offset = _level(self.offset) if self.offset_known else f"between {_level(low)} and {_level(high)}"
        more = "more than " if self.saturated_share > BRIGHTEST / 4 else "about "
        return (
            f"{more}{_plain(self.photons)} photons per pixel in the brightest structures "
            f"(gain {_plain(self.gain)} grey levels per photon, camera offset {offset}, "
            f"read noise {self.read_noise / self.gain:.1f} electrons); {shared}"
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
            "structure_only": float(self.structure_only),
            "noise_level": self.noise.level,
        }

    @classmethod
    def from_figures(cls, figures: Mapping[str, float]) -> "Calibration | None":
        """Take a calibration from its `figures`, as a model file holds them; None if some are missing.

        The doubts' words are lost.
        """
        try:
            return cls(
                gain=figures["gain"],
                gain_error=figures["gain_error"],
                offset=figures["offset"],
                offset_error=figures["offset_error"],
                offset_range=(figures["offset_low"], figures["offset_high"]),
                read_noise=figures["read_noise"],
                variance_slope=figures["variance_slope"],
                variance_intercept=figures["variance_intercept"],
                noise=NoiseReport(
                    figures["noise_std"],
                    figures["twin_correlation"],
                    figures["neighbour_correlation"],
                    level=figures["noise_level"],
                ),
                lag_correlations=(
                    figures["lag_correlation_1"],
                    figures["lag_correlation_2"],
                    figures["lag_correlation_3"],
                    figures["lag_correlation_4"],
                ),
                saturated_share=figures["saturated_share"],
                hot_pixels=round(figures["hot_pixels"]),
                photons=figures["photons"],
                doubts=() if figures["gain_known"] else ("the model's training could not count them",),
                offset_known=bool(figures["offset_known"]),
                structure_only=bool(figures["structure_only"]),
            )
        except KeyError:
            return None


def calibrate(frames: Sequence[NDArray[Any]]) -> Calibration:
    """Measure gain, offset, read noise and correlation of the noise on pictures of the specimen itself.

    The variance of the noise is a straight line of the brightness (`quietscope.models.photon_transfer`); its
    slope is the gain. `quietscope.models.noise_line` says where the noise is taken from: differences of consecutive
    frames where there are any, and the finest details of these or of a single frame where something moves.

    Offset and read noise cannot be told apart by the line alone; `quietscope.models.camera_offset` says how they are,
    and between which bounds the offset must lie.

    Parameters
    ----------
    frames
        Frames (Y, X) of one channel in time order, real dtype, of one shape; at least one, and four are enough.
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
    looked_at = first_frames(frames)
    planes = looked_at.planes
    report = measure_noise(planes[:MEASURED])
    spectrum = noise_spectrum(planes[:MEASURED], looked_at.unusable[:MEASURED])
    line = noise_line(looked_at, report, spectrum)
    known = line.slope > 0 and line.slope_error < 3 * GAIN_ERROR * line.slope
    gain = line.slope if known else 0.0
    dark = CameraOffset(line.dark, 0.0, line.dark, line.dark)
    if known:
        some, unusable = (looked_at.stack(stack[:MEASURED]) for stack in (planes, looked_at.unusable))
        dark = camera_offset(some, line, excluded=unusable)
    saturated = float(np.mean([np.mean(plane >= looked_at.ends[1]) for plane in planes]))
    hot = find_hot_pixels(planes) if min(planes[0].shape) > 1 else np.zeros(planes[0].shape, np.bool_)
    brightest = _brightest(repair(np.mean(planes, axis=0), hot))
    photons = max(0.0, (brightest - dark.level) / gain) if known else 0.0
    return Calibration(
        gain=gain,
        gain_error=line.slope_error / gain if known else 1.0,
        offset=dark.level,
        offset_error=dark.error,
        offset_range=(dark.lowest, dark.highest),
        read_noise=max(line.slope * dark.level + line.intercept, 0.0) ** 0.5,
        variance_slope=line.slope,
        variance_intercept=line.intercept,
        noise=report,
        lag_correlations=spectrum.lag_correlations,
        saturated_share=saturated,
        hot_pixels=round(np.count_nonzero(hot) / looked_at.share),
        photons=photons,
        doubts=tuple(_doubts(line, report, spectrum, saturated)),
        offset_known=known and dark.error <= gain * max(1.0, photons / 10),
        structure_only=not spectrum.genuine,
    )


def _doubts(
    line: PhotonTransfer, report: NoiseReport, spectrum: NoiseSpectrum, saturated: float
) -> Iterator[str]:
    """Reasons why the gain is not known."""
    if saturated > 0.5:
        yield f"{saturated:.0%} of the pixels are saturated"
    elif not line.variances.any():
        yield "the frames hold no noise" if report.std == 0 else "the frames are too small"
    else:
        if spectrum.genuine and not report.independent:
            yield "neighbouring pixels share their noise"
        if not spectrum.genuine and spectrum.possible_share < UNCLEAR:
            yield "structure everywhere hides whether neighbouring pixels share their noise"
        if line.cut:
            yield "the dark is cut off at the lower end of the grey scale"
        if line.slope_error > GAIN_ERROR * line.slope:
            yield "the noise does not grow with the brightness, or the frames hold too few levels of it"


def _brightest(mean: Float32) -> float:
    """Mean grey level of the brightest pixels: chosen in one twin, read off in the other, which shares no noise."""
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


def _level(level: float) -> str:
    """Grey level, to one level where that is sensible."""
    return f"{level:.0f}" if 10 <= abs(level) < 1e6 else _plain(level)


def _plain(number: float) -> str:
    """Two digits, without an exponent."""
    return f"{float(f'{number:.2g}'):,g}".replace(",", "")
