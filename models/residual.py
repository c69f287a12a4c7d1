"""The standardised residual (raw − denoised)/σ(denoised) of a frame, added up over small windows.

Where a denoised frame is right, raw − denoised is noise and nothing else: mean 0, the calibrated variance and
correlation. Averages over 16×16 pixels turn small deviations from that into certain ones, since their noise is 16
times smaller than that of a pixel.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.models.calibration import Calibration
from quietscope.models.noise import clean

__all__ = ["CELL", "WINDOW", "NoiseModel", "ResidualStatistics", "residual_statistics"]

CELL = 8
"""Side of the cells that sums are made over, and distance of the windows, pixels."""

WINDOW = 16
"""Side of the windows, pixels."""

BOUND = 5.0
"""Bound of a standardised residual: a single pixel (cosmic ray, new hot pixel) cannot move a window's mean by more than
a third of its standard deviation."""

LEAST = 0.5
"""Share of a window that must lie in the frame; windows with less are not judged."""

ROUNDING = 1 / 12
"""Variance of rounding to whole grey levels, the least noise that a camera frame has."""

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class NoiseModel:
    """Noise variance of a pixel by its grey level: slope · level + intercept, but at least that in the dark.

    Parameters
    ----------
    slope, intercept
        Grey levels; grey levels squared.
    dark
        Variance without light, grey levels squared.
    offset
        Grey level without light.
    """

    slope: float
    intercept: float
    dark: float
    offset: float

    @classmethod
    def of(cls, calibration: Calibration) -> "NoiseModel":
        """Take the line of a calibration, or where it does not rise, the strength of the noise alone."""
        if calibration.gain <= 0:
            return cls(0.0, max(calibration.noise.std**2, ROUNDING), ROUNDING, calibration.offset)
        dark = max(calibration.read_noise**2, ROUNDING)
        return cls(calibration.variance_slope, calibration.variance_intercept, dark, calibration.offset)

    def variance(self, levels: NDArray[Any]) -> Float32:
        """Noise variance, grey levels squared, float32 of the shape of `levels`."""
        line = np.asarray(levels, dtype=np.float32) * np.float32(self.slope)
        line += np.float32(self.intercept)
        np.maximum(line, np.float32(self.dark), out=line)
        return line

    def light(self, levels: Float32) -> float:
        """Mean grey level above that without light."""
        return float(levels.mean(dtype=np.float64)) - self.offset


@dataclass(frozen=True)
class ResidualStatistics:
    """Sums of a frame's standardised residual.

    Parameters
    ----------
    mean, variance, correlation
        Of each window: mean residual, mean square, mean product with the right and the lower neighbour; 0, 1 and 0
        for independent noise. float32, shape (rows, columns), windows `CELL` pixels apart.
    pixels
        Pixels of each window that lie in the frame, same shape.
    brightness
        Mean denoised grey level of each window, same shape.
    light, light_error
        Light in raw over light in denoised (grey levels above `NoiseModel.offset`), and its standard error.
    spread
        Mean square of the residual over the frame.
    kinship
        Mean product of neighbours over the frame.
    size
        Pixels of the frame.
    """

    mean: Float32
    variance: Float32
    correlation: Float32
    pixels: Float32
    brightness: Float32
    light: float
    light_error: float
    spread: float
    kinship: float
    size: int

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Windows that hold enough pixels to be judged."""
        return self.pixels >= LEAST * WINDOW**2


def residual_statistics(
    raw: NDArray[Any], denoised: NDArray[Any], noise: NoiseModel, hot: NDArray[np.bool_] | None = None
) -> ResidualStatistics:
    """Standardise what denoising has taken out of a frame, and add it up.

    Parameters
    ----------
    raw, denoised
        Shape (Y, X), real dtype, grey levels.
    noise
        The camera's noise.
    hot
        Pixels to be left out, shape (Y, X).

    Returns
    -------
    ResidualStatistics
        In about 2 ms for 512×512 pixels.
    """
    smooth = clean(denoised)
    variance = noise.variance(smooth)
    z = clean(raw) - smooth
    if hot is not None and hot.shape == z.shape:
        z[hot] = 0
    light = noise.light(smooth)
    lost = float(z.mean(dtype=np.float64))
    error = float(variance.mean(dtype=np.float64) / z.size) ** 0.5
    known = max(abs(light), error)
    z /= np.sqrt(variance, out=variance)
    np.clip(z, -BOUND, BOUND, out=z)
    size = z.size
    area = np.multiply.outer(*(_covered(side) for side in z.shape))
    pixels = _windows(area)
    z, smooth = _whole_cells(z), _whole_cells(smooth)
    product = np.zeros_like(z)
    np.multiply(z[:, :-1], z[:, 1:], out=product[:, :-1])
    product[:-1] += z[:-1] * z[1:]
    product *= np.float32(0.5)
    squares, products = _cells(z * z), _cells(product)
    return ResidualStatistics(
        mean=_windows(_cells(z)) / pixels,
        variance=_windows(squares) / pixels,
        correlation=_windows(products) / pixels,
        pixels=pixels,
        brightness=_windows(_cells(smooth)) / pixels,
        light=1 + lost / known,
        light_error=error / known,
        spread=float(squares.sum(dtype=np.float64)) / size,
        kinship=float(products.sum(dtype=np.float64)) / size,
        size=size,
    )


def _whole_cells(image: Float32) -> Float32:
    """Continue an image by zeros to whole cells, at least two along each axis."""
    grow = [(0, CELL * _number(side) - side) for side in image.shape]
    return np.pad(image, grow) if any(after for _, after in grow) else image


def _number(side: int) -> int:
    """Cells along an axis of `side` pixels."""
    return max(-(-side // CELL), 2)


def _covered(side: int) -> Float32:
    """Pixels along one axis that each cell has in the frame."""
    return np.clip(side - CELL * np.arange(_number(side)), 0, CELL).astype(np.float32)


def _cells(image: Float32) -> Float32:
    """Sum over each cell."""
    height, width = image.shape
    rows = image.reshape(height // CELL, CELL, width).sum(axis=1)
    return np.asarray(rows.reshape(height // CELL, width // CELL, CELL).sum(axis=2), dtype=np.float32)


def _windows(cells: Float32) -> Float32:
    """Sum over each window of 2×2 cells."""
    rows = cells[:-1] + cells[1:]
    return np.asarray(rows[:, :-1] + rows[:, 1:], dtype=np.float32)
