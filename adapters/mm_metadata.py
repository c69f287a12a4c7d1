"""Reads what Micro-Manager says of an image, in the words of any of its versions and back-ends."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quietscope.adapters.camera_mode import camera_mode

__all__ = ["MMFacts"]

_EXPOSURE = ("Exposure-ms", "Exposure")
_PIXEL_SIZE = ("PixelSizeUm", "PixelSize_um")
_CAMERA = ("Camera", "Core-Camera")
_TIMES = (
    ("TimeReceivedByCore", "%Y-%m-%d %H:%M:%S.%f"),
    ("ReceivedTime", "%Y-%m-%d %H:%M:%S.%f %z"),
    ("Time", "%Y-%m-%d %H:%M:%S %z"),
)


@dataclass(frozen=True, slots=True)
class MMFacts:
    """What the metadata of one image say, with one name and unit for each thing.

    Parameters
    ----------
    channel
        Channel name, or None.
    camera
        Camera's label, or empty.
    camera_channel
        Which camera of several that expose together, from 0.
    exposure_ms, pixel_size_um
        Exposure, milliseconds, and pixel size, micrometres; None where unknown.
    taken_ns
        When Micro-Manager had the image from the camera, nanoseconds since the epoch; None where unknown.
    elapsed_ms
        Milliseconds since the acquisition began; None where unknown.
    mode
        How camera and objective were set, see `quietscope.adapters.camera_mode`.
    """

    channel: str | None = None
    camera: str = ""
    camera_channel: int = 0
    exposure_ms: float | None = None
    pixel_size_um: float | None = None
    taken_ns: int | None = None
    elapsed_ms: float | None = None
    mode: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "MMFacts":
        """Read the metadata of an image; numbers may be written as text.

        Parameters
        ----------
        said
            The metadata as they come.
        """
        cameras = [value for key, value in said.items() if key.endswith("CameraChannelIndex")]
        index = next((number for number in map(_number, cameras) if number is not None), 0.0)
        elapsed_ms = _number(said.get("ElapsedTime-ms"))
        camera = _text(said, _CAMERA)
        return cls(
            channel=_text(said, ("Channel",)) or None,
            camera=camera,
            camera_channel=max(0, int(index)),
            exposure_ms=_positive(said, _EXPOSURE),
            pixel_size_um=_positive(said, _PIXEL_SIZE),
            taken_ns=_time_ns(said),
            elapsed_ms=elapsed_ms if elapsed_ms is not None and elapsed_ms >= 0 else None,
            mode=camera_mode(said, camera),
        )

    def metadata(self) -> dict[str, Any]:
        """What goes into a frame's metadata: `mode`, `camera`, `camera_channel`, `taken_ns` and `elapsed_ms`."""
        known: dict[str, Any] = dict(self.mode)
        if self.camera:
            known["camera"] = self.camera
        if self.camera_channel:
            known["camera_channel"] = self.camera_channel
        if self.taken_ns is not None:
            known["taken_ns"] = self.taken_ns
        if self.elapsed_ms is not None:
            known["elapsed_ms"] = self.elapsed_ms
        return known


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e15 else None


def _positive(said: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    numbers = (_number(said.get(name)) for name in names)
    return next((number for number in numbers if number is not None and number > 0), None)


def _text(said: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((value for name in names if isinstance(value := said.get(name), str) and value), "")


def _time_ns(said: Mapping[str, Any]) -> int | None:
    for name, form in _TIMES:
        text = said.get(name)
        if not isinstance(text, str):
            continue
        try:
            moment = dt.datetime.strptime(text.strip(), form)  # noqa: DTZ007 - the core writes local time
            seconds, micros = int(moment.timestamp() // 1), moment.microsecond
        except (ValueError, OverflowError, OSError):
            continue
        return seconds * 1_000_000_000 + micros * 1000
    return None
