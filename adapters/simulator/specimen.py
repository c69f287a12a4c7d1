"""The specimen under the microscope: expected photo-electrons in every pixel at any time point."""

import numpy as np
from numpy.typing import NDArray

from quietscope.adapters.simulator.cell import plan_cells
from quietscope.adapters.simulator.er import TUBULE_FWHM_UM, Reticulum
from quietscope.adapters.simulator.mitochondria import Mitochondria
from quietscope.adapters.simulator.optics import FWHM_PER_SIGMA, Blur, psf_fwhm_um
from quietscope.config.sources import SimulatorSettings

__all__ = ["Specimen"]

BACKGROUND = 0.05
"""Uniform background of medium and camera glass, share of the bright structures."""
CYTOSOL = {"mitochondria": 0.045, "er": 0.07}
"""Dye that is not bound, where the cell is thickest, share of the bright structures."""
DEFOCUS_UM = 0.22
"""Standard deviation of the blur of what lies outside of the focal plane, micrometres."""
SALT = {"cells": 1, "mitochondria": 2, "er": 3}


class Specimen:
    """Live cells with labelled structures, seen through a microscope, without noise.

    The state at a time point follows in closed form from the settings' seed and the time point: any frame can be
    made again in any order, in any process. Construction draws the rest shapes (0.5 s for 512 × 512 pixels).

    Parameters
    ----------
    settings
        Frame size, channels, modality, photons, bleaching, seed.
    """

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        pixel = settings.pixel_size_um
        frame = settings.height, settings.width
        far = DEFOCUS_UM / pixel
        sigmas = {name: self._sigma(name) for name in dict.fromkeys(settings.channels)}
        self._widest = max(sigmas.values())
        self._spread = int(np.ceil(6 * self._widest)) + 1
        self._border = int(np.ceil(6 * np.hypot(far, self._widest))) + 2
        self._canvas = _fast_length(frame[0] + 2 * self._border), _fast_length(frame[1] + 2 * self._border)
        self._background = BACKGROUND * settings.photons
        self._cells = plan_cells(*frame, pixel, self._spread, self._rng("cells"))
        self._structures: dict[str, Mitochondria | Reticulum] = {}
        self._blurs: dict[str, Blur] = {}
        for name, sigma in sigmas.items():
            if name == "mitochondria":
                self._structures[name] = Mitochondria(self._cells, pixel, self._rng(name))
                self._blurs[name] = Blur(self._canvas, (sigma, float(np.hypot(sigma, far))))
            else:
                self._structures[name] = Reticulum(self._cells, pixel, self._rng(name))
                self._blurs[name] = Blur(self._canvas, (sigma,))
        cytosol = self._cytosol()
        self._inside = cytosol > 0
        self._well_inside = ~_grown(~self._inside, int(np.ceil(6 * far)))
        self._thickness = self._cut(Blur(self._canvas, (self._widest,))(cytosol))
        self._scale = {name: self._normalise(name) for name in self._structures}

    def _sigma(self, name: str) -> float:
        """Standard deviation of what blurs a channel's points of light: optics and, for thin tubules, their width."""
        fwhm = psf_fwhm_um(self._settings.modality, name)
        if name == "er":
            fwhm = float(np.hypot(fwhm, TUBULE_FWHM_UM))
        return fwhm / FWHM_PER_SIGMA / self._settings.pixel_size_um

    def _rng(self, what: str) -> np.random.Generator:
        return np.random.default_rng([self._settings.seed, 0x5C, SALT[what]])

    def _cut(self, canvas: NDArray[np.float32]) -> NDArray[np.float32]:
        b = self._border
        return canvas[b : b + self._settings.height, b : b + self._settings.width]

    def _cytosol(self) -> NDArray[np.float32]:
        """Thickness of the cells, 0 outside … 1 beside the nucleus, on the canvas."""
        total = np.zeros(self._canvas, dtype=np.float64)
        for cell in self._cells:
            reach = float(cell.outline.max())
            rows, columns = (
                slice(
                    max(int(centre - reach) + self._border, 0), max(int(centre + reach) + self._border + 2, 0)
                )
                for centre in (cell.cy, cell.cx)
            )
            part = total[rows, columns]
            y = np.arange(part.shape[0], dtype=np.float64) + float(rows.start - self._border)
            x = np.arange(part.shape[1], dtype=np.float64) + float(columns.start - self._border)
            depth = cell.depth(*np.meshgrid(y, x, indexing="ij"))
            body = np.sqrt(np.clip(1 - depth, 0, 1)) * np.clip((1 - depth) * 12, 0, 1)
            np.maximum(part, np.where(depth < 0, 0.3, body), out=part)
        return total.astype(np.float32)

    def _structure(self, name: str, t: int) -> NDArray[np.float32]:
        """Blurred light of the labelled structure in the frame, arbitrary units."""
        structure, blur = self._structures[name], self._blurs[name]
        if isinstance(structure, Mitochondria):
            return self._cut(blur(*structure.render(t, self._border, self._inside, self._well_inside)))
        return self._cut(blur(structure.render(t, self._border, self._inside)))

    def _normalise(self, name: str) -> tuple[np.float32, NDArray[np.float32]]:
        """Factor and cytosol image that give the asked-for photons in the first frame."""
        light = self._structure(name, 0)
        level = float(np.percentile(light, 99.9)) or 1.0
        haze = self._thickness * np.float32(CYTOSOL[name] * level)
        bright = float(np.percentile(light + haze, 99.9))
        factor = (self._settings.photons - self._background) / bright if bright > 0 else 0.0
        return np.float32(factor), haze * np.float32(factor)

    def expected(self, t: int, channel: str) -> NDArray[np.float32]:
        """Expected photo-electrons.

        In the first frame the 99.9th percentile is the ``photons`` of the settings. The cells bleach by the same
        share every time point, the background does not.

        Parameters
        ----------
        t
            Time point, from 0.
        channel
            ``"mitochondria"`` or ``"er"``, one of the settings' channels.

        Returns
        -------
        numpy.ndarray
            Float32, shape (Y, X).
        """
        factor, haze = self._scale[channel]
        light = self._structure(channel, t) * factor
        light += haze
        light *= np.float32((1.0 - self._settings.bleach_per_frame) ** t)
        light += np.float32(self._background)
        return light

    def empty(self) -> NDArray[np.bool_]:
        """Where there is only background, in all channels and at all times: bool, shape (Y, X)."""
        lit = _grown(self._inside, self._spread)
        b = self._border
        return ~lit[b : b + self._settings.height, b : b + self._settings.width]

    def fragments(self, t: int) -> int:
        """Number of separate mitochondria at time point ``t``; 0 if they are not labelled."""
        found = self._structures.get("mitochondria")
        return found.fragments(t) if isinstance(found, Mitochondria) else 0


def _fast_length(size: int) -> int:
    """Smallest length from ``size`` on whose prime factors are 2, 3 and 5, for the Fourier transform."""
    length = size
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1


def _grown(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Every place with a true one at most ``reach`` pixels away along each axis."""
    for axis in (0, 1):
        count = np.cumsum(mask, axis=axis)
        places = np.arange(mask.shape[axis])
        upto = np.take(count, np.minimum(places + reach, places[-1]), axis=axis)
        before = np.take(count, np.maximum(places - reach - 1, 0), axis=axis)
        before[places <= reach if axis == 0 else (slice(None), places <= reach)] = 0
        mask = upto > before
    return mask
