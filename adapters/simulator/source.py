"""The simulated microscope as a source of frames."""

import threading
import time
from collections import OrderedDict
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.adapters.frame import Frame, FrameKey, Series
from quietscope.adapters.protocols import Sink
from quietscope.adapters.simulator.camera import Camera
from quietscope.adapters.simulator.faults import FaultBox
from quietscope.adapters.simulator.illumination import EXPOSURES
from quietscope.adapters.simulator.specimen import Specimen
from quietscope.adapters.simulator.structured_illumination import StructuredIllumination
from quietscope.config.errors import SourceError
from quietscope.config.sources import SimulatorSettings

__all__ = ["Simulator"]

CCD_READ_NOISE = 4.0
"""Read noise of the wide-field microscope's camera, times that of the settings' sCMOS camera."""
CACHED = 4
"""Noiseless frames kept for whoever asks for the truth of a frame just delivered."""


class Simulator:
    """A microscope that looks at simulated live cells and knows the truth; a `Source` and a `TruthSource`.

    Every frame follows from the settings (seed included), t and c alone: it can be made again in any order and in
    any other process. `run` delivers on an absolute schedule: time point t begins ``t / rate_hz`` seconds after the
    start, and its channels follow one another, an exposure apart where the rate leaves room. A frame that is late,
    because the sink waited or the fault box stalled, is delivered at once, and the schedule stays as it was.

    Parameters
    ----------
    settings
        The specimen, the microscope, the camera and the fault box.

    Examples
    --------
    >>> from quietscope.config.sources import SimulatorSettings
    >>> simulator = Simulator(SimulatorSettings(height=64, width=96, frames=3))
    >>> simulator.truth(FrameKey(t=2, c=1)).shape
    (64, 96)
    """

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._specimen = Specimen(settings)
        structured = settings.modality == "sim"
        wide_field = settings.modality == "wide-field"
        self._camera = Camera(
            self._specimen.canvas if structured else (settings.height, settings.width),
            gain=settings.gain,
            offset=settings.offset,
            read_noise=settings.read_noise * (CCD_READ_NOISE if wide_field else 1.0),
            hot_pixels=settings.hot_pixels,
            rng=np.random.default_rng([settings.seed, 0xCA]),
            exposures=EXPOSURES if structured else 1,
            interpolating=wide_field,
        )
        self._structured = (
            StructuredIllumination(settings, self._specimen, self._camera) if structured else None
        )
        self._faults = FaultBox(settings.faults, settings.seed)
        self._cache: OrderedDict[FrameKey, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def series(self) -> Series:
        """What all frames have in common."""
        settings = self._settings
        return Series(
            height=settings.height,
            width=settings.width,
            dtype="uint16",
            channels=settings.channels,
            source=f"simulator ({settings.modality}, {settings.photons:g} photons, seed {settings.seed})",
            pixel_size_um=settings.pixel_size_um,
            planned={"t": settings.frames, "c": len(settings.channels)},
        )

    @property
    def specimen(self) -> Specimen:
        """What is under the microscope."""
        return self._specimen

    @property
    def faults(self) -> dict[str, int]:
        """Faults that happened in the latest run: ``drop``, ``duplicate``, ``reorder``, ``corrupt``, ``stall``."""
        return self._faults.counts

    def truth(self, key: FrameKey) -> NDArray[np.float32]:
        """Noiseless frame: offset + gain × expected photo-electrons, blurred and bleached, without hot pixels.

        What the microscope does to every picture is in it: with ``wide-field`` the camera's interpolation, with
        ``sim`` the reconstruction, so that it differs from the mean of many frames by nothing.

        Parameters
        ----------
        key
            The frame; z and p must be 0.

        Returns
        -------
        numpy.ndarray
            Grey levels, float32, shape (Y, X).

        Raises
        ------
        quietscope.config.SourceError
            If the series has no such frame.
        """
        if self._structured is not None:
            return self._structured.truth(key.t, self._channel(key))
        return self._camera.noiseless(self._expected(key))

    def pixels(self, key: FrameKey) -> NDArray[np.uint16]:
        """The frame as the camera sees it, or as it is reconstructed.

        Parameters
        ----------
        key
            The frame; z and p must be 0.

        Returns
        -------
        numpy.ndarray
            Grey levels, uint16, shape (Y, X).

        Raises
        ------
        quietscope.config.SourceError
            If the series has no such frame.
        """
        noise = np.random.Generator(np.random.SFC64([self._settings.seed, 0xF0, key.t, key.c]))
        if self._structured is not None:
            return self._structured.pixels(key.t, self._channel(key), noise)
        return self._camera.expose(self._expected(key), noise)

    def run(self, sink: Sink, stop: threading.Event) -> None:
        """Deliver the series, or as much of it as comes before ``stop`` is set.

        Frames that the fault box holds back are delivered before the method returns, so that only dropped frames
        are missing.

        Parameters
        ----------
        sink
            Takes the frames.
        stop
            Ends the series at once, in the middle of a wait too.
        """
        settings = self._settings
        box = FaultBox(settings.faults, settings.seed)
        self._faults = box
        sink.start(self.series)
        period = 1.0 / settings.rate_hz if settings.rate_hz > 0 else 0.0
        apart = min(settings.exposure_ms / 1000, period / len(settings.channels))
        begin = time.monotonic()
        for t in range(settings.frames):
            for c in range(len(settings.channels)):
                if stop.is_set():
                    break
                key = FrameKey(t=t, c=c)
                plan = box.plan(key, last=t == settings.frames - 1)
                if plan.drop:
                    box.count("drop")
                    continue
                frame = self._frame(key)
                pause = begin + t * period + c * apart - time.monotonic()
                if pause > 0 and stop.wait(pause):
                    break
                if plan.stall:
                    box.count("stall")
                    if stop.wait(settings.faults.stall_s):
                        break
                for sent in box.arrange(frame, plan):
                    sink.submit(replace(sent, received_ns=time.time_ns()))
            if stop.is_set():
                break
        for sent in box.flush():
            sink.submit(replace(sent, received_ns=time.time_ns()))

    def _frame(self, key: FrameKey) -> Frame:
        settings = self._settings
        metadata: dict[str, Any] = {
            "channel": settings.channels[key.c],
            "modality": settings.modality,
            "photons": settings.photons,
            "seed": settings.seed,
            "simulated": True,
        }
        return Frame(
            pixels=self.pixels(key),
            key=key,
            received_ns=0,
            exposure_ms=settings.exposure_ms,
            metadata=metadata,
        )

    def _channel(self, key: FrameKey) -> str:
        """What is labelled in a frame of the series."""
        settings = self._settings
        channels = len(settings.channels)
        if key.z or key.p or not (0 <= key.t < settings.frames and 0 <= key.c < channels):
            msg = (
                f"the simulator has no frame {key}: its series has t 0–{settings.frames - 1}, c 0–{channels - 1}, "
                "z 0 and p 0; ask for one of these, or raise 'frames' or add 'channels' in the source's settings"
            )
            raise SourceError(msg)
        return settings.channels[key.c]

    def _expected(self, key: FrameKey) -> NDArray[np.float32]:
        """Expected photo-electrons, from the cache where it was asked for just before."""
        channel = self._channel(key)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        made = self._specimen.expected(key.t, channel)
        with self._lock:
            self._cache[key] = made
            while len(self._cache) > CACHED:
                self._cache.popitem(last=False)
        return made
