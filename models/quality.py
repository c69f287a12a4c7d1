"""Measures of quality against a known truth, in the camera's own units: nothing is rescaled to look better."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError

__all__ = ["Line", "fit_line", "psnr", "slope"]


class Line:
    """Sums for a least-squares line y = slope·x + intercept, pooled over frames without keeping them.

    Parameters
    ----------
    slope_of
        Words for what is regressed on what, for error messages.
    """

    def __init__(self, slope_of: str = "y on x") -> None:
        self._words = slope_of
        self._sums = np.zeros(6)
        self._shift = (0.0, 0.0)

    def add(self, x: NDArray[Any], y: NDArray[Any], *, shared: float = 0.0) -> None:
        """Add the pixels of a frame.

        Parameters
        ----------
        x, y
            Arrays of one shape, real dtypes.
        shared
            Sum over the pixels of the products of noise that x and y have in common: it says nothing about the line and
            is left out.

        Raises
        ------
        quietscope.config.ModelError
            If the shapes differ.
        """
        if x.shape != y.shape:
            raise ModelError(f"{self._words}: shapes {x.shape} and {y.shape} differ; compare the same pixels")
        if not self._sums[0] and x.size:
            # sums about a point near the mean keep their precision beside a large camera offset
            self._shift = (float(np.mean(x, dtype=np.float64)), float(np.mean(y, dtype=np.float64)))
        u = np.ravel(x).astype(np.float64) - self._shift[0]
        v = np.ravel(y).astype(np.float64) - self._shift[1]
        self._sums += np.array([u.size, u.sum(), v.sum(), u @ u, u @ v - shared, v @ v])

    @property
    def slope(self) -> float:
        """Slope; nan where x does not vary."""
        _, _, var_x, cov, _ = self._moments()
        return cov / var_x if var_x > 0 else float("nan")

    @property
    def intercept(self) -> float:
        """Value of y at x = 0; nan where x does not vary."""
        mean_x, mean_y, _, _, _ = self._moments()
        return mean_y + self._shift[1] - self.slope * (mean_x + self._shift[0])

    @property
    def slope_error(self) -> float:
        """Standard error of the slope, pixels taken as independent; nan where x does not vary."""
        _, _, var_x, cov, var_y = self._moments()
        if var_x <= 0 or self._sums[0] < 3:
            return float("nan")
        return float((max(var_y - cov * cov / var_x, 0.0) / (var_x * (self._sums[0] - 2))) ** 0.5)

    def _moments(self) -> tuple[float, float, float, float, float]:
        """Means, variances and covariance about the shift."""
        n, x, y, xx, xy, yy = (float(value) for value in self._sums)
        if n == 0:
            raise ModelError(f"{self._words}: there are no pixels to fit a line to; add a frame first")
        return x / n, y / n, xx / n - (x / n) ** 2, xy / n - x * y / n**2, yy / n - (y / n) ** 2


def fit_line(x: NDArray[Any], y: NDArray[Any]) -> tuple[float, float]:
    """Least-squares line of y on x over all pixels.

    Parameters
    ----------
    x, y
        Arrays of one shape, real dtypes.

    Returns
    -------
    slope, intercept : float
        nan where x does not vary.

    Raises
    ------
    quietscope.config.ModelError
        If the shapes differ or there is no pixel.
    """
    line = Line()
    line.add(x, y)
    return line.slope, line.intercept


def psnr(reference: NDArray[Any], image: NDArray[Any], data_range: float) -> float:
    """Peak signal-to-noise ratio, decibels: 10·log₁₀(data_range²/mean squared error).

    Parameters
    ----------
    reference, image
        Arrays of one shape, real dtypes, grey levels.
    data_range
        Range of the reference, grey levels, > 0: 255 for uint8, else max − min of the truth.

    Returns
    -------
    float
        Infinite for equal arrays.

    Raises
    ------
    quietscope.config.ModelError
        If the shapes differ or the range is not > 0.
    """
    if reference.shape != image.shape:
        raise ModelError(
            f"PSNR: shapes {reference.shape} and {image.shape} differ; compare an image with its own reference"
        )
    if not data_range > 0:
        raise ModelError(
            f"PSNR: data_range is {data_range}, and must be > 0; give the range of the reference"
        )
    difference = np.subtract(reference, image, dtype=np.float64)
    error = float(np.mean(difference * difference))
    return float("inf") if error == 0 else float(10 * np.log10(data_range**2 / error))


def slope(truth: NDArray[Any], denoised: NDArray[Any]) -> float:
    """Slope of the truth regressed on the denoised image over all pixels: 1 where intensities are true.

    Parameters
    ----------
    truth, denoised
        Arrays of one shape (frames may be stacked: they are pooled), grey levels. Exchange them for the
        reverse regression, which noise left in the denoised image does not lower.

    Returns
    -------
    float
        nan where the denoised image does not vary.

    Raises
    ------
    quietscope.config.ModelError
        If the shapes differ.
    """
    return fit_line(denoised, truth)[0]
