"""The camera: photo-electrons in, grey levels out."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Camera"]

HOT_ELECTRONS = (30.0, 300.0)
"""Dark current of hot pixels, photo-electrons per frame (log-uniform)."""
INTERPOLATION = np.array([3, 8, 3], dtype=np.float32) / np.float32(14)
"""Weights of an interpolating camera along each axis. Independent pixels come out correlated by 0.585 with their
neighbours and 0.110 with the next ones: those of the FMD data set's wide-field camera by 0.57 and 0.09."""


class Camera:
    """A camera: Poisson photon noise, Gaussian read noise, gain, offset and hot pixels.

    Grey level = round(offset + gain · (Poisson(expected) + Normal(0, read noise))), clipped to 16 bits. An
    interpolating camera, such as one with a colour mosaic or one that resamples its picture, then replaces every
    pixel by a weighted mean of its 3 × 3 neighbourhood (reflected at the edges) and rounds again.

    Parameters
    ----------
    shape
        Frame, pixels (Y, X).
    gain
        Grey levels per photo-electron.
    offset
        Grey levels.
    read_noise
        Photo-electrons, standard deviation.
    hot_pixels
        Share of hot pixels; they stay where they are for the whole series.
    rng
        Source of the hot pixels.
    exposures
        Exposures that share the time of one frame; each has its part of the hot pixels' dark current.
    interpolating
        Whether the camera interpolates.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        gain: float,
        offset: float,
        read_noise: float,
        hot_pixels: float,
        rng: np.random.Generator,
        exposures: int = 1,
        interpolating: bool = False,
    ) -> None:
        self._gain = gain
        self._offset = offset
        self._read_noise = read_noise
        self._interpolating = interpolating
        count = round(hot_pixels * shape[0] * shape[1])
        self.hot = np.sort(rng.choice(shape[0] * shape[1], size=count, replace=False))
        """Flat indices of the hot pixels."""
        self._hot_electrons = HOT_ELECTRONS[0] * (HOT_ELECTRONS[1] / HOT_ELECTRONS[0]) ** rng.random(count)
        self._hot_electrons /= exposures

    def expose(self, expected: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint16]:
        """Take a picture.

        Parameters
        ----------
        expected
            Expected photo-electrons, shape (Y, X).
        rng
            Source of the noise.

        Returns
        -------
        numpy.ndarray
            Grey levels, uint16, shape (Y, X).
        """
        light = expected.astype(np.float64)
        light.reshape(-1)[self.hot] += self._hot_electrons
        grey = rng.poisson(light).astype(np.float32)
        grey += np.float32(self._read_noise) * rng.standard_normal(expected.shape, dtype=np.float32)
        grey *= np.float32(self._gain)
        grey += np.float32(self._offset)
        np.rint(grey, out=grey)
        np.clip(grey, 0, 65535, out=grey)
        if self._interpolating:
            grey = np.rint(_interpolated(grey))
        return grey.astype(np.uint16)

    def noiseless(self, expected: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean grey levels where no pixel is hot: offset + gain · expected, interpolated; float32, shape (Y, X)."""
        grey = np.float32(self._offset) + np.float32(self._gain) * expected
        return _interpolated(grey) if self._interpolating else grey


def _interpolated(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    side, middle, _ = INTERPOLATION
    padded = np.pad(grey, 1, mode="reflect")
    rows = middle * padded[1:-1] + side * (padded[:-2] + padded[2:])
    return np.asarray(middle * rows[:, 1:-1] + side * (rows[:, :-2] + rows[:, 2:]), dtype=np.float32)
