"""The camera: photo-electrons in, grey levels out."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Camera"]

HOT_ELECTRONS = (30.0, 300.0)
"""Dark current of hot pixels, photo-electrons per frame (log-uniform)."""


class Camera:
    """A scientific CMOS camera: Poisson photon noise, Gaussian read noise, gain, offset and hot pixels.

    Grey level = round(offset + gain · (Poisson(expected) + Normal(0, read noise))), clipped to 16 bits.

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
    ) -> None:
        self._gain = gain
        self._offset = offset
        self._read_noise = read_noise
        count = round(hot_pixels * shape[0] * shape[1])
        self.hot = np.sort(rng.choice(shape[0] * shape[1], size=count, replace=False))
        """Flat indices of the hot pixels."""
        self._hot_electrons = HOT_ELECTRONS[0] * (HOT_ELECTRONS[1] / HOT_ELECTRONS[0]) ** rng.random(count)

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
        return grey.astype(np.uint16)

    def noiseless(self, expected: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean grey levels of a pixel that is not hot: offset + gain · expected, float32, shape (Y, X)."""
        return np.float32(self._offset) + np.float32(self._gain) * expected
