"""Photon transfer: how the variance of the noise grows with the brightness, measured where structure is in the way.

Shot noise makes the variance of a pixel a straight line of its mean; the slope is the gain in grey levels per
photo-electron (Janesick, *Photon Transfer*, SPIE 2007). Three things usually spoil the line when it is taken from
pictures of a specimen instead of flat fields:

*Structure counts as noise.* The noise is taken from third differences along both axes, (1 −3 3 −1)ᵀ(1 −3 3 −1)/20,
a finer relative of Immerkær's mask (CVIU 64, 300, 1996), whose pass band lies in the corners of the spectrum, where a
microscope that is sampled at its resolution passes nothing; or from differences of consecutive frames. With filaments
of σ = 1 pixel and 1000 photons in one frame, the gain came out 12 % too large; with second differences 50 %.

*Binning by a noisy mean selects noise.* Samples are sorted into levels by the ring of pixels *around* the support
of the filter, whose noise is not that of the sample: an instrumental variable. So the mean of the squares and the
mean of the pixels in a level are both free of bias, whatever the number of photons.

*A median of squares is not their mean*, and by how much depends on the number of photons. So there are no medians
of squares here: levels are plain means of what is within six deviations and six photons (which leaves out hot
pixels and cosmic rays, but no shot noise), and robustness comes from the fit over levels.
"""

from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

__all__ = ["PhotonTransfer", "binomial_difference", "photon_transfer"]

LEVELS = 32
"""Levels that the brightness is cut into; narrow ones where it is dark, where most pixels are."""

MIN_SAMPLES = 64
"""Fewest samples of a level; smaller ones are joined with the next darker one."""

CLIPPED = (0.005, 0.05)
"""Shares of pixels cut off at an end of the grey scale above which a level is left out: at best, and at most.

To cut off 0.5 % at one end takes 1 % from the variance of a Gaussian, 5 % take 8 %.
"""

ENOUGH = 0.1
"""Relative error of the slope up to which nothing more is let in."""

REAL_ZEROS = 1.12
"""Largest ratio of −ln(share at the lower end) to (mean above it)²/variance for zeros that are absent photons.

1 for shot noise alone, which has exp(−b) of its pixels without a photon; 1.16 to 1.5 for read noise cut off at zero.
Noise finer than the steps of the grey scale (below about one grey level) cannot be told apart so.
"""

DARKEST = 0.005
"""Share of the samples, those with the darkest surroundings, that the dark level is read off."""

MODEL_ERROR = 0.03
"""Relative error of a level's variance that is no matter of counts (left-over structure, uneven gain)."""

ROUNDS = 12
"""Rounds of reweighting; the figures settle after about five."""

OUTLIER = 6.0
"""Standard deviations, and photons, beyond which a sample is no shot noise."""

PASSES = 4
"""Rounds of leaving out outliers; most frames need one."""

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class PhotonTransfer:
    """Line through the variance of the noise over the brightness.

    Parameters
    ----------
    slope
        Grey levels; 0 if there are fewer than two levels.
    intercept
        Grey levels squared; the variance itself if there are fewer than two levels.
    slope_error
        Standard error of the slope, the scatter of the levels about the line included; infinite if there
        are fewer than three levels.
    dark
        Mean grey level of the darkest places.
    cut
        Whether the line rests on levels whose noise is cut off at the lower end of the grey scale.
    means, variances
        The levels: mean (grey levels) and noise variance (grey levels squared), dark to bright.
    """

    slope: float
    intercept: float
    slope_error: float
    dark: float
    cut: bool
    means: Float64
    variances: Float64


def binomial_difference(planes: Float32, order: int) -> Float32:
    """Difference of a given order along both axes, scaled so that white noise keeps its variance.

    Parameters
    ----------
    planes
        Shape (..., H, W), grey levels.
    order
        0 leaves the planes as they are, 1 takes the difference of the diagonals of 2×2 pixels, 2 second
        differences along both axes, and so on.

    Returns
    -------
    numpy.ndarray
        float32, shape (..., H − order, W − order).
    """
    return _separable(planes, _kernel(order))


def photon_transfer(
    noise: Float32,
    planes: Float32,
    *,
    order: int,
    excluded: NDArray[np.bool_],
    lowest: Float32,
    highest: Float32,
    floor: float,
) -> PhotonTransfer:
    """Fit the photon-transfer line.

    Parameters
    ----------
    noise
        Shape (N, H, W): planes with the noise of a pixel in grey levels, e.g. the frames, or differences of
        frames over √2.
    planes
        Shape (N, H, W): the frames that the brightness is read off, or the means of both frames.
    order
        Order of the differences that take the structure out of `noise`: 0 for none, or 2 or 3.
    excluded
        Shape (N, H, W): pixels that must not be used (no numbers, in motion).
    lowest, highest
        Shape (N, H, W): 1 where a pixel is at the lower or upper end of the grey scale, else 0; of two frames
        the mean.
    floor
        Lower end of the grey scale, grey levels; −∞ if no pixel has reached it.

    Returns
    -------
    PhotonTransfer
        Finite but for `slope_error`.
    """
    kernel = _kernel(order)
    side = max(5, kernel.size + 2)
    if planes.size == 0 or min(planes.shape[1:]) < side:
        return _nothing(planes)
    inner = slice((side - kernel.size) // 2, -((side - kernel.size) // 2))
    ones = np.ones(kernel.size, np.float32)
    squares = np.square(_separable(noise[:, inner, inner], kernel))
    means = _separable(planes[:, inner, inner], np.square(kernel))
    window = _separable(planes, np.ones(side, np.float32))
    ring = (window - _separable(planes[:, inner, inner], ones)) / np.float32(side**2 - kernel.size**2)
    even = ones / np.float32(kernel.size)
    ends = [
        _separable(mask[:, inner, inner], even) if mask.any() else np.zeros_like(ring)
        for mask in (lowest, highest)
    ]
    samples = np.stack([part.ravel() for part in (squares, means, ring, *ends)])
    if excluded.any():
        kept = _separable(excluded[:, inner, inner].astype(np.float32), ones) == 0
        samples = samples[:, kept.ravel()]
    line = _nothing(planes)
    for _ in range(PASSES):
        if samples.shape[1] < MIN_SAMPLES or not samples[0].any():
            break
        line = _levels(samples, _overlap(kernel), floor)
        gain = max(line.slope, 0.0)
        brightness = np.maximum(samples[2], np.float32(line.dark))
        expected = np.maximum(
            np.float32(line.slope) * brightness + np.float32(line.intercept), np.float32(line.variances.min())
        )
        usual = samples[0] <= np.float32(OUTLIER**2) * (expected + np.float32(gain**2))
        if usual.all():
            break
        samples = samples[:, usual]
    return line


def _levels(samples: Float32, overlap: float, floor: float) -> PhotonTransfer:
    """Sort samples (squares, means, ring, ends) into levels by their surroundings; fit the line through them."""
    squares, means, ring, lowest, highest = samples
    darkest, low, high = np.quantile(ring, (DARKEST, 0.001, 0.9995))
    dark = float(means[ring <= darkest].mean(dtype=np.float64))
    # 1.5 spaces levels between evenly in brightness and evenly in its standard deviation
    place = np.clip((ring - low) / np.float32(max(high - low, np.finfo(np.float32).tiny)), 0, 1)
    index = np.minimum(place ** np.float32(1 / 1.5) * LEVELS, LEVELS - 1).astype(np.intp)
    relative = squares / squares.mean()
    weights = (None, means, squares, relative * relative, lowest, highest)
    number, *sums = _joined(np.stack([np.bincount(index, w, LEVELS).astype(np.float64) for w in weights]))
    mean, variance, fourth, below, above = np.stack(sums) / number
    second = variance / float(squares.mean())
    peaked = np.maximum(2.0, np.divide(fourth, second**2, out=np.zeros_like(fourth), where=second > 0) - 1)
    error = np.sqrt(peaked * overlap / number)
    lost = above if _real_zeros(mean - floor, variance, below) else np.maximum(above, below)
    slope, intercept, slope_error, limit = 0.0, 0.0, float("inf"), 0.0
    for limit in (*CLIPPED, 1.0):
        kept = lost <= limit
        slope, intercept, slope_error = _line(mean[kept], variance[kept], error[kept])
        if slope_error < ENOUGH * slope:
            break
    cut = limit == 1.0 and bool(np.any((below > CLIPPED[1]) & (lost >= below)))
    return PhotonTransfer(slope, intercept, slope_error, dark, cut, mean, variance)


def _real_zeros(mean: Float64, variance: Float64, share: Float64) -> bool:
    """Whether pixels at the lower end of the grey scale are where no photon came, not where noise was cut off."""
    telling = (share > CLIPPED[1]) & (share < 0.99) & (mean > 0)
    if not telling.any():
        return not bool(np.any(share > CLIPPED[0])) or not variance.any()
    ratio = -np.log(share[telling]) * variance[telling] / mean[telling] ** 2
    return float(np.median(ratio)) <= REAL_ZEROS


def _line(mean: Float64, variance: Float64, error: Float64) -> tuple[float, float, float]:
    """Straight line with Cauchy weights; `error` is relative to the variance, which the line itself gives."""
    if mean.size < 3:
        return 0.0, float(variance.mean()) if mean.size else 0.0, float("inf")
    if not variance.any() or np.ptp(mean) == 0:
        return 0.0, float(variance.mean()), float("inf")
    relative = np.hypot(error, MODEL_ERROR)
    centre = mean.mean()
    scale = float(np.ptp(mean))
    design = np.stack([(mean - centre) / scale, np.ones_like(mean)], axis=1)
    fitted = np.maximum(variance, variance.max() * 1e-3)
    robust = np.ones_like(mean)
    answer, inverse, chi = np.zeros(2), np.eye(2), 1.0
    for _ in range(ROUNDS):
        deviation = relative * fitted
        weight = robust / deviation**2
        inverse = np.linalg.pinv(design.T @ (weight[:, None] * design))
        answer = inverse @ (design.T @ (weight * variance))
        line = design @ answer
        residual = (variance - line) / deviation
        robust = 1 / (1 + (residual / 2.5) ** 2)
        chi = float(np.sum(robust * residual**2) / max(robust.sum() - 2, 1))
        # a line that dips below nothing says that its dark end is uncertain, not that it is exact
        fitted = np.maximum(line, 0.2 * variance + 1e-3 * variance.max())
    slope = float(answer[0]) / scale
    slope_error = float(np.sqrt(inverse[0, 0] * max(chi, 1.0))) / scale
    return slope, float(answer[1]) - slope * float(centre), slope_error


def _joined(sums: Float64) -> Float64:
    """Join levels of too few samples with the next darker one; the first with its brighter one."""
    columns: list[Float64] = []
    for column in sums.T:
        if columns and (column[0] < MIN_SAMPLES or columns[-1][0] < MIN_SAMPLES):
            columns[-1] = columns[-1] + column
        else:
            columns.append(column)
    return np.stack(columns, axis=1)


def _nothing(planes: Float32) -> PhotonTransfer:
    none = np.zeros(0)
    return PhotonTransfer(
        0.0, 0.0, float("inf"), float(planes.mean()) if planes.size else 0.0, False, none, none
    )


def _kernel(order: int) -> Float32:
    signed = np.array([(-1) ** k * comb(order, k) for k in range(order + 1)], np.float32)
    kernel: Float32 = signed / np.sqrt(np.sum(signed**2))
    return kernel


def _overlap(kernel: Float32) -> float:
    """How many neighbouring squares of filtered white noise carry the information of one."""
    correlation = np.correlate(kernel, kernel, "full")
    return float(np.sum(correlation**2) ** 2)


def _separable(planes: Float32, kernel: Float32) -> Float32:
    """Correlate both axes with `kernel`, without edges."""
    for axis in (-2, -1):
        length = planes.shape[axis] - kernel.size + 1
        parts = [slice(k, k + length) for k in range(kernel.size)]
        views = [planes[..., part, :] if axis == -2 else planes[..., part] for part in parts]
        filtered = views[0] * kernel[0]
        for view, factor in zip(views[1:], kernel[1:], strict=True):
            filtered += view * factor
        planes = filtered
    return planes
