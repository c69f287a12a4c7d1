"""A structured-illumination microscope: nine exposures under stripes, reconstructed into one frame."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from quietscope.adapters.simulator.camera import Camera
from quietscope.adapters.simulator.illumination import EXPOSURES, Illumination
from quietscope.adapters.simulator.optics import Blur, cutoff_per_um
from quietscope.adapters.simulator.sim_reconstruction import SimReconstruction
from quietscope.adapters.simulator.specimen import DEFOCUS_UM, Specimen
from quietscope.config.sources import SimulatorSettings

__all__ = ["StructuredIllumination"]

STRIPES = 0.9
"""Frequency of the stripes, share of the lens' cut-off: their period is 0.238 µm at 600 nm and 0.208 µm at 525 nm."""
BURST = 0.3
"""Share of the time between two time points that the nine exposures of a frame take."""


class StructuredIllumination:
    """Takes the nine exposures of a frame and reconstructs it.

    The specimen is drawn anew for each exposure and bleaches between them. From the first to the last of the nine it
    moves by at most 0.02 µm, 99 % of it by less than 0.008 µm, a thirtieth of the stripes' period; what that does to
    the reconstruction is part of the truth.

    Camera, exposures and frame share one grid. At the default pixel size of 0.065 µm a camera with half the pixels
    would sample at 0.130 µm what the lens resolves down to λ/(2 NA) and needs λ/(4 NA) for (0.107 µm at 600 nm,
    0.094 µm at 525 nm); the whole of the reconstruction's band, (1 + 0.9) · 2 NA/λ, needs pixels of 0.056 and
    0.049 µm. At 0.065 µm the reconstruction therefore ends at the grid's Nyquist frequency, 1/(0.130 µm).

    Frames are on the scale of the nine exposures' sum: `gain` grey levels per photo-electron over nine times the
    camera's `offset`, 2.2 over 900 at the defaults, where the noise of 30 photons is about 12 grey levels.

    Parameters
    ----------
    settings
        Channels, pixel size and the camera's offset.
    specimen
        What is under the microscope.
    camera
        Takes the exposures; as large as the specimen's canvas.
    """

    def __init__(self, settings: SimulatorSettings, specimen: Specimen, camera: Camera) -> None:
        self._specimen = specimen
        far = DEFOCUS_UM / settings.pixel_size_um
        self._lens: dict[str, Blur] = {}
        self._illumination: dict[str, Illumination] = {}
        self._reconstruction: dict[str, SimReconstruction] = {}
        for name in dict.fromkeys(settings.channels):
            cutoff = cutoff_per_um(name) * settings.pixel_size_um
            self._lens[name] = Blur(specimen.canvas, (0.0, far), cutoff=cutoff)
            self._illumination[name] = Illumination(specimen.canvas, STRIPES * cutoff)
            self._reconstruction[name] = SimReconstruction(self._illumination[name], cutoff)
        self._camera = camera
        self._offset = np.float32(settings.offset)

    def truth(self, t: int, channel: str) -> NDArray[np.float32]:
        """Reconstruction of the nine exposures without noise and hot pixels.

        Parameters
        ----------
        t
            Time point.
        channel
            One of the settings' channels.

        Returns
        -------
        numpy.ndarray
            9 · offset + gain · photo-electrons in all nine exposures, grey levels, float32, shape (Y, X).
        """
        return self._frame(channel, (self._camera.noiseless(light) for light in self._expected(t, channel)))

    def pixels(self, t: int, channel: str, rng: np.random.Generator) -> NDArray[np.uint16]:
        """Reconstruction of the nine exposures.

        Parameters
        ----------
        t
            Time point.
        channel
            One of the settings' channels.
        rng
            Source of the noise.

        Returns
        -------
        numpy.ndarray
            Grey levels as in `truth`, rounded and clipped to 16 bits, uint16, shape (Y, X).
        """
        grey = self._frame(channel, (self._camera.expose(light, rng) for light in self._expected(t, channel)))
        return np.clip(np.rint(grey), 0, 65535).astype(np.uint16)

    def _frame(
        self, channel: str, exposures: Iterable[NDArray[np.uint16] | NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Reconstruct exposures; their offset has no stripes and would not keep its scale."""
        light = self._reconstruction[channel](picture - self._offset for picture in exposures)
        return self._specimen.cut(light) + EXPOSURES * self._offset

    def _expected(self, t: int, channel: str) -> Iterator[NDArray[np.float32]]:
        """Expected photo-electrons of each exposure, float32, shape of the canvas."""
        illumination = self._illumination[channel]
        for number, pattern in enumerate(illumination.patterns()):
            focal, defocused = self._specimen.emitters(t + BURST * number / EXPOSURES, channel)
            light = self._lens[channel](focal * pattern, defocused * pattern)
            yield (light + np.float32(self._specimen.background)) / np.float32(EXPOSURES)
