"""Reconstruction of structured-illumination exposures: nine pictures in, one sharper picture out."""

import itertools
import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from quietscope.adapters.simulator.illumination import Illumination
from quietscope.adapters.simulator.optics import lens_transfer

__all__ = ["SimReconstruction"]

Floats = NDArray[np.float64]

WIENER = 0.003
"""Wiener parameter, share of the summed bands' strength at frequency 0."""


class SimReconstruction:
    """Linear reconstruction with a generalised Wiener filter (Gustafsson et al., Biophys. J. 94, 4957, 2008).

    Stripes of wave vector p carry the object's frequency k to k ± p, where the lens may still let it through. The
    three phases of an angle separate these bands; each is multiplied by the lens' transfer function (what noise
    there is in it counts least), moved back by p, and added to the others. The sum is divided by the sum of the
    bands' squared strengths plus the Wiener parameter, and multiplied by the transfer function of an ideal lens
    whose cut-off is that of the extended band (apodisation). Everything is known: wave vectors, phases, modulation
    and transfer function.

    The result keeps the exposures' grid and scale: a uniform object comes out as the sum of its nine exposures.
    Light or an offset without stripes, which the side bands lack, keeps all but a few thousandths of it. Where the
    grid is too coarse for the extended band (lens + stripes), the apodisation ends at the grid's Nyquist frequency
    instead. The grid is taken as cyclic, so objects must stay away from its edges.

    Noise is amplified most where the bands are weakest, and cut where the apodisation ends. What is left is
    correlated between neighbours: the honeycomb of reconstructions from few photons.

    Parameters
    ----------
    illumination
        The patterns the exposures were taken under, and their grid.
    cutoff
        Cut-off frequency of the lens, cycles per pixel; below 0.5, else the exposures are undersampled.
    """

    def __init__(self, illumination: Illumination, cutoff: float) -> None:
        self._illumination = illumination
        height, width = illumination.shape
        fy = np.fft.fftfreq(height).astype(np.float64)[:, None]
        fx = np.fft.fftfreq(width).astype(np.float64)[None, :]
        vectors = [(wave_y / height, wave_x / width) for wave_y, wave_x in illumination.vectors]
        extended = min(cutoff + min(math.hypot(*vector) for vector in vectors), 0.5)

        def lens(vector: tuple[float, float]) -> Floats:
            return lens_transfer(np.hypot(fy - vector[0], fx - vector[1]) / cutoff)

        # A side band has modulation / 2 of an angle's third of the light, and a third of the variance of all nine.
        side = illumination.modulation / 2
        centre = lens((0.0, 0.0))
        bands = [lens(vector) for vector in vectors]
        strength = np.square(centre)
        for vector, band in zip(vectors, bands, strict=True):
            opposite = lens((-vector[0], -vector[1]))
            strength += side**2 / len(vectors) * (np.square(band) + np.square(opposite))
        damping = WIENER * float(strength[0, 0])
        final = lens_transfer(np.hypot(fy, fx) / extended) / (strength + damping)
        final *= (strength[0, 0] + damping) / strength[0, 0]
        self.transfer = (strength * final).astype(np.float32)
        """What the reconstruction keeps of the object's frequencies, float32, shape (Y, X), laid out as by
        `numpy.fft.fft2`: near the apodisation where the bands are strong, 1 at frequency 0."""
        self._centre = (centre * final).astype(np.float32)
        self._sides = [(2 * side * band * final).astype(np.float32) for band in bands]
        self._shifts = [np.exp(1j * phase).astype(np.complex64) for phase in np.array(illumination.phases)]

    def __call__(self, exposures: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Reconstruct one picture.

        Parameters
        ----------
        exposures
            Nine arrays of shape (Y, X) in the order of `Illumination.patterns`; consumed one by one.

        Returns
        -------
        numpy.ndarray
            Float32, shape (Y, X). Noise and the filter's overshoot can make it less than the offset.
        """
        shape = self._illumination.shape
        total = np.zeros(shape, dtype=np.float32)
        bands = [np.zeros(shape, dtype=np.complex64) for _ in self._sides]
        for (band, shift), picture in zip(itertools.product(bands, self._shifts), exposures, strict=True):
            total += picture
            np.add(band, shift * picture, out=band)
        spectrum = self._centre * np.fft.fft2(total)
        for band, weight, vector in zip(bands, self._sides, self._illumination.vectors, strict=True):
            spectrum += weight * np.roll(np.fft.fft2(band), vector, axis=(0, 1))
        return np.ascontiguousarray(np.fft.ifft2(spectrum).real, dtype=np.float32)
