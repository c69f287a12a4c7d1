"""Noise that neighbouring pixels share: how it correlates, and more of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quietscope.models.calibration import Calibration

__all__ = ["SharedNoise"]


@dataclass(frozen=True)
class SharedNoise:
    """Correlation of noise.

    Parameters
    ----------
    lags
        Correlation of pixels 1, 2, 3, … apart along either axis; it ends one pixel further.
    twins
        Correlation of the diagonal twins A and B of 2×2 blocks.
    """

    lags: tuple[float, ...]
    twins: float

    @classmethod
    def of(cls, calibration: Calibration, limit: float) -> "SharedNoise | None":
        """Take what a calibration found; None for noise that counts as independent.

        Parameters
        ----------
        calibration
            Of the channel.
        limit
            Twin correlation above which noise counts as shared.
        """
        if not calibration.is_correlated(limit):
            return None
        return cls(calibration.lag_correlations, calibration.twin_correlation)

    @property
    def twin_difference(self) -> float:
        """Standard deviation of A − B over that of a pixel, 1 for independent noise.

        With r the correlation of adjacent pixels and d that of diagonal ones, Var(A) = (1 + d)/2 and Cov(A, B) = r,
        so the twins' correlation ρ is 2r/(1 + d), and Var(A − B) = (1 + d)(1 − ρ) = 2r(1 − ρ)/ρ.
        """
        if min(self.lags[0], self.twins) <= 0:
            return 1.0
        return float(np.sqrt(max(2 * self.lags[0] * (1 - self.twins) / self.twins, 1e-4)))

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw Gaussian noise of unit variance with these correlations.

        Parameters
        ----------
        shape
            (..., Y, X).
        rng
            Source of chance.

        Returns
        -------
        numpy.ndarray
            float32. The correlation of a shift is the product of those along both axes. Where no noise can have it,
            the nearest spectrum that is nowhere negative is taken.
        """
        rows, columns = shape[-2:]
        along = [
            np.interp(np.minimum(n := np.arange(side), side - n), *self._table()) for side in (rows, columns)
        ]
        spectrum = np.maximum(np.fft.rfft2(np.outer(*along)).real, 0.0)
        power = float(np.fft.irfft2(spectrum, s=(rows, columns))[0, 0])
        white = np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
        noise = np.fft.irfft2(white * np.sqrt(spectrum / max(power, 1e-12)), s=(rows, columns))
        return np.asarray(noise, dtype=np.float32)

    def _table(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        correlations = np.array([1.0, *self.lags, 0.0])
        return np.arange(len(correlations), dtype=np.float64), correlations
