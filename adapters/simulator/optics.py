"""Point-spread functions: how a microscope blurs the specimen."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["EMISSION_UM", "Blur", "cutoff_per_um", "lens_transfer", "psf_fwhm_um"]

NUMERICAL_APERTURE = 1.4
EMISSION_UM = {"mitochondria": 0.600, "er": 0.525}
"""Emission wavelengths, micrometres: an orange mitochondrial dye, a green fluorescent protein in the network."""

FWHM_FACTOR = {"confocal": 0.61, "sd-sim": 0.61 / 1.6, "wide-field": 0.51, "sim": 0.51}
FWHM_PER_SIGMA = 2.3548200450309493


def psf_fwhm_um(modality: Literal["sd-sim", "sim", "confocal", "wide-field"], channel: str) -> float:
    """Lateral full width at half maximum of the point-spread function.

    ``confocal`` is a spinning disk with open pinholes, 0.61 λ/NA (0.261 µm at 600 nm, 0.229 µm at 525 nm with
    NA 1.4); ``sd-sim`` is 1.6 times sharper (0.163 and 0.143 µm). Both are Gaussians, which fit the central lobe
    within 2 % (Zhang, Zerubia and Olivo-Marin, Applied Optics 46, 1819, 2007) and have no negative lobes.
    ``wide-field`` and the raw exposures of ``sim`` are seen through an ideal lens (`lens_transfer`), 0.51 λ/NA
    (0.219 and 0.191 µm).

    Parameters
    ----------
    modality
        Kind of microscope.
    channel
        Labelled structure; sets the emission wavelength.

    Returns
    -------
    float
        Micrometres.
    """
    return FWHM_FACTOR[modality] * EMISSION_UM[channel] / NUMERICAL_APERTURE


def cutoff_per_um(channel: str) -> float:
    """Finest period that the lens lets through, as a frequency: 2 NA/λ, cycles per micrometre."""
    return 2 * NUMERICAL_APERTURE / EMISSION_UM[channel]


def lens_transfer(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Optical transfer function of an ideal, incoherently lit lens (Goodman, Introduction to Fourier Optics, 6.3).

    Parameters
    ----------
    frequency
        Shares of the cut-off frequency, not negative, any shape.

    Returns
    -------
    numpy.ndarray
        1 at 0, falling to 0 at 1 and beyond, the shape of ``frequency``.
    """
    nu = np.minimum(frequency, 1.0)
    return np.asarray(2 / np.pi * (np.arccos(nu) - nu * np.sqrt(1 - nu * nu)))


class Blur:
    """Convolves canvases, each with a Gaussian of its own, and adds them up; one inverse transform for all.

    Parameters
    ----------
    shape
        Canvas, pixels (Y, X). The transform is cyclic: the canvas must have a border that is cut off later.
    sigmas
        Standard deviation of each canvas' Gaussian, pixels.
    cutoff
        Cut-off frequency of an ideal lens that blurs all canvases as well, cycles per pixel; None for no lens.
    haze
        Share of the light that lands in a broad Gaussian pedestal, and the standard deviation of the pedestal,
        pixels.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        sigmas: tuple[float, ...],
        *,
        cutoff: float | None = None,
        haze: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self._shape = shape
        fy = np.fft.fftfreq(shape[0])[:, None]
        fx = np.fft.rfftfreq(shape[1])[None, :]
        radius = fy * fy + fx * fx
        share, reach = haze
        lens = 1.0 if cutoff is None else lens_transfer(np.sqrt(radius) / cutoff)
        lens = lens * (1 - share + share * np.exp(-2 * (np.pi * reach) ** 2 * radius))
        self._transfer = [(np.exp(-2 * (np.pi * s) ** 2 * radius) * lens).astype(np.float32) for s in sigmas]

    def __call__(self, *canvases: NDArray[np.float32]) -> NDArray[np.float32]:
        """Blur and add.

        Parameters
        ----------
        canvases
            As many as there are Gaussians, float32, shape (Y, X).

        Returns
        -------
        numpy.ndarray
            Float32, shape (Y, X), nowhere negative.
        """
        spectrum = sum(
            np.fft.rfft2(canvas) * transfer for canvas, transfer in zip(canvases, self._transfer, strict=True)
        )
        blurred = np.fft.irfft2(np.asarray(spectrum), s=self._shape)
        return np.maximum(blurred, 0).astype(np.float32, copy=False)
