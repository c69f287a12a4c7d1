"""The specimen under the microscope: expected photo-electrons in every pixel at any time point."""

import numpy as np
from numpy.typing import NDArray

from quietscope.adapters.simulator.cell import plan_cells
from quietscope.adapters.simulator.er import TUBULE_FWHM_UM, Reticulum
from quietscope.adapters.simulator.mitochondria import Mitochondria
from quietscope.adapters.simulator.optics import FWHM_PER_SIGMA, Blur, cutoff_per_um, psf_fwhm_um
from quietscope.config.sources import SimulatorSettings

__all__ = ["Specimen"]

BACKGROUND = 0.05
"""Uniform background of medium and camera glass, share of the bright structures."""
CYTOSOL = {"mitochondria": 0.045, "er": 0.07}
"""Dye that is not bound, where the cell is thickest, share of the bright structures."""
DEFOCUS_UM = 0.22
"""Standard deviation of the blur of what lies outside of the focal plane, micrometres."""
HAZE = 0.4
"""Share of the light that a wide-field microscope spreads out: it comes from above and below the focal plane."""
HAZE_UM = 0.9
"""Standard deviation of what it is spread over, micrometres."""
WIDTH_UM = {"mitochondria": 0.0, "er": TUBULE_FWHM_UM}
"""Full width at half maximum of what is drawn as points without a width, micrometres."""
SALT = {"cells": 1, "mitochondria": 2, "er": 3}


class Specimen:
    """Live cells with labelled structures, seen through a microscope, without noise.

    The state at a time point follows in closed form from the settings' seed and the time point: any frame can be
    made again in any order, in any process. Construction draws the rest shapes (0.5 s for 512 × 512 pixels).

    Seen through a lens (``sim``, ``wide-field``) the structures' own width is kept apart from the blur; a wide-field
    microscope spreads part of the light into a broad haze.

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
        self._lens = settings.modality in ("sim", "wide-field")
        self._haze = (HAZE, HAZE_UM / pixel) if settings.modality == "wide-field" else (0.0, 0.0)
        sigmas = {name: self._sigma(name) for name in dict.fromkeys(settings.channels)}
        self._widest = max(sigmas.values())
        self._spread = int(np.ceil(6 * self._widest)) + 1
        self._border = int(np.ceil(max(6 * np.hypot(far, self._widest), 4 * self._haze[1]))) + 2
        self.canvas = _fast_length(frame[0] + 2 * self._border), _fast_length(frame[1] + 2 * self._border)
        """Where light is drawn, the frame and a border, pixels (Y, X); its lengths suit the Fourier transform."""
        self.background = BACKGROUND * settings.photons
        """Light that is everywhere and does not bleach, photo-electrons per frame."""
        self._cells = plan_cells(*frame, pixel, self._spread, self._rng("cells"))
        self._structures: dict[str, Mitochondria | Reticulum] = {}
        self._blurs: dict[str, Blur] = {}
        for name in sigmas:
            if name == "mitochondria":
                self._structures[name] = Mitochondria(self._cells, pixel, self._rng(name))
                self._blurs[name] = self._blur(name, (0.0, far))
            else:
                self._structures[name] = Reticulum(self._cells, pixel, self._rng(name))
                self._blurs[name] = self._blur(name, (0.0,))
        self._cytosol = self._draw_cytosol()
        self._inside = self._cytosol > 0
        self._well_inside = ~_grown(~self._inside, int(np.ceil(6 * far)))
        self._thickness = self.cut(Blur(self.canvas, (self._widest,), haze=self._haze)(self._cytosol))
        self._scale = {name: self._normalise(name) for name in self._structures}
        self._widen = {name: Blur(self.canvas, (self._width(name),)) for name in self._structures}

    def _sigma(self, name: str) -> float:
        """Standard deviation of what blurs a channel's points of light: optics and, for thin tubules, their width."""
        fwhm = float(np.hypot(psf_fwhm_um(self._settings.modality, name), WIDTH_UM[name]))
        return fwhm / FWHM_PER_SIGMA / self._settings.pixel_size_um

    def _width(self, name: str) -> float:
        """Standard deviation of the width of what is drawn as points of light, pixels."""
        return WIDTH_UM[name] / FWHM_PER_SIGMA / self._settings.pixel_size_um

    def _blur(self, name: str, beyond: tuple[float, ...]) -> Blur:
        """How the microscope blurs canvases of a channel that are out of focus by so many pixels."""
        base = self._width(name) if self._lens else self._sigma(name)
        sigmas = tuple(float(np.hypot(base, far)) for far in beyond)
        cutoff = cutoff_per_um(name) * self._settings.pixel_size_um if self._lens else None
        return Blur(self.canvas, sigmas, cutoff=cutoff, haze=self._haze)

    def _rng(self, what: str) -> np.random.Generator:
        return np.random.default_rng([self._settings.seed, 0x5C, SALT[what]])

    def cut(self, canvas: NDArray[np.float32]) -> NDArray[np.float32]:
        """The frame's part of a canvas, a view of shape (Y, X)."""
        b = self._border
        return canvas[b : b + self._settings.height, b : b + self._settings.width]

    def _draw_cytosol(self) -> NDArray[np.float32]:
        """Thickness of the cells, 0 outside … 1 beside the nucleus, on the canvas."""
        total = np.zeros(self.canvas, dtype=np.float64)
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
            return self.cut(blur(*structure.render(t, self._border, self._inside, self._well_inside)))
        return self.cut(blur(structure.render(t, self._border, self._inside)))

    def _normalise(self, name: str) -> tuple[np.float32, NDArray[np.float32], np.float32]:
        """Factor, cytosol image and share of the cytosol that give the asked-for photons in the first frame."""
        light = self._structure(name, 0)
        level = float(np.percentile(light, 99.9)) or 1.0
        haze = self._thickness * np.float32(CYTOSOL[name] * level)
        bright = float(np.percentile(light + haze, 99.9))
        factor = (self._settings.photons - self.background) / bright if bright > 0 else 0.0
        return np.float32(factor), haze * np.float32(factor), np.float32(CYTOSOL[name] * level * factor)

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
        factor, haze, _ = self._scale[channel]
        light = self._structure(channel, t) * factor
        light += haze
        light *= np.float32((1.0 - self._settings.bleach_per_frame) ** t)
        light += np.float32(self.background)
        return light

    def emitters(self, t: float, channel: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Light before it reaches the lens, without the background.

        Seen through a lens, the sum of both, the second out of focus by `DEFOCUS_UM`, is `expected`.

        Parameters
        ----------
        t
            Time point; need not be whole.
        channel
            ``"mitochondria"`` or ``"er"``, one of the settings' channels.

        Returns
        -------
        focal, defocused : numpy.ndarray
            Photo-electrons per frame, float32, shape of `canvas`.
        """
        structure = self._structures[channel]
        if isinstance(structure, Mitochondria):
            focal, defocused = structure.render(t, self._border, self._inside, self._well_inside)
        else:
            focal = self._widen[channel](structure.render(t, self._border, self._inside))
            defocused = np.zeros(self.canvas, dtype=np.float32)
        left = (1.0 - self._settings.bleach_per_frame) ** t
        factor, _, dye = self._scale[channel]
        focal = (focal * factor + self._cytosol * dye) * np.float32(left)
        return focal, defocused * np.float32(factor * left)

    def empty(self) -> NDArray[np.bool_]:
        """Where there is only background, in all channels and at all times: bool, shape (Y, X).

        The haze of a wide-field microscope and the overshoot of a reconstruction reach into it.
        """
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
