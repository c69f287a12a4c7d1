"""What Micro-Manager says about a frame: the *only* component that knows the names of its metadata.

The two back-ends of pycromanager (Python and Java), their two ways to take an image (snap, hardware sequence) and
pymmcore-plus all say it differently; `FrameInfo` says it in one way.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quietscope.adapters.camera_mode import camera_mode

__all__ = ["FrameInfo", "read_event", "read_tags"]

_CAMERA_INDEX = "CameraChannelIndex"
_UNDEFINED = (None, "", "Undefined")


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """One frame's metadata.

    Parameters
    ----------
    axes
        Axis → index or label, without the channel: ``time``, ``z``, ``position`` and whatever else the acquisition has.
    channel
        Name of the channel preset; empty where the acquisition has no channels.
    camera
        Label of the camera device.
    camera_index
        Which camera of a multi-camera device, from 0.
    received_ns
        When the core received the frame, nanoseconds since the epoch; None for snapped frames.
    elapsed_ms
        Time since the start of the acquisition, milliseconds; None where it is not the frame's own.
    exposure_ms
        Exposure, milliseconds.
    pixel_size_um
        Pixel size, micrometres; None where the objective is not calibrated.
    image_number
        Number of the frame among those of its camera, in a hardware sequence of several cameras; else None.
    stage_um
        Intended stage positions, micrometres, by axis ``x``, ``y``, ``z``.
    mode
        How camera and objective were set, see `quietscope.adapters.camera_mode`.
    """

    axes: Mapping[str, int | str]
    channel: str = ""
    camera: str = ""
    camera_index: int = 0
    received_ns: int | None = None
    elapsed_ms: float | None = None
    exposure_ms: float | None = None
    pixel_size_um: float | None = None
    image_number: int | None = None
    stage_um: Mapping[str, float] = field(default_factory=dict)
    mode: Mapping[str, str] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[str, Any]:
        """What is kept with the frame, JSON-able."""
        known = {
            "axes": dict(self.axes),
            "channel": self.channel,
            "camera": self.camera,
            "camera_index": self.camera_index,
            "elapsed_ms": self.elapsed_ms,
            "pixel_size_um": self.pixel_size_um,
            "stage_um": dict(self.stage_um),
            **self.mode,
        }
        return {key: value for key, value in known.items() if value not in _UNDEFINED and value != {}}


def read_tags(tags: Mapping[str, Any], arrival_ns: int) -> FrameInfo:
    """Read the metadata that pycromanager hands to its hooks.

    Parameters
    ----------
    tags
        Image metadata of either back-end. Numbers may be text.
    arrival_ns
        When the frame arrived here, nanoseconds since the epoch.

    Returns
    -------
    FrameInfo
        What is not there or not readable is left out.
    """
    axes = {str(axis): _index(value) for axis, value in dict(tags.get("Axes") or {}).items()}
    preset = axes.pop("channel", "")
    # With channel indices the name is in the tag, as Micro-Manager's own acquisitions write it.
    channel = str(tags.get("Channel") or preset) if isinstance(preset, int) else preset
    camera = str(tags.get("Camera") or tags.get("Core-Camera") or "")
    index_tag = next((tag for tag in tags if tag.endswith(_CAMERA_INDEX)), None)
    device = "" if index_tag is None else index_tag.removesuffix(_CAMERA_INDEX).rstrip("-")
    received_ns = _received_ns(tags.get("TimeReceivedByCore"), arrival_ns)
    stage = {axis: _number(tags, f"{axis.upper()}Position_um_Intended") for axis in "xyz"}
    return FrameInfo(
        axes=axes,
        channel=channel,
        # In a sequence a multi-camera device names the single camera, when snapping it names itself.
        camera=device or camera,
        camera_index=0 if index_tag is None else int(_number(tags, index_tag) or 0),
        received_ns=received_ns,
        # All frames of a sequence share one elapsed time in the Python back-end.
        elapsed_ms=_number(tags, "ElapsedTime-ms") if received_ns is None else None,
        exposure_ms=_number(tags, "Exposure"),
        # The Java back-end's own PixelSize_um is always 1.
        pixel_size_um=_number(tags, "PixelSizeUm", "PixelSize_um") or None,
        image_number=_whole(tags, "ImageNumber") if device else None,
        stage_um={axis: value for axis, value in stage.items() if value is not None},
        mode=camera_mode(tags, device or camera),
    )


def read_event(event: Any, meta: Mapping[str, Any], arrival_ns: int) -> FrameInfo:
    """Read what pymmcore-plus says of a frame.

    Parameters
    ----------
    event
        The ``useq.MDAEvent`` of the frame.
    meta
        Its frame metadata.
    arrival_ns
        When the frame arrived here, nanoseconds since the epoch.
    """
    names = {"t": "time", "p": "position"}
    # Keys of the index are enumerations or text, by the axis.
    index = {str(getattr(axis, "value", axis)): int(n) for axis, n in dict(event.index).items()}
    camera_index = index.pop("cam", 0)
    index.pop("c", None)
    from_camera = meta.get("camera_metadata") or {}
    received_ns = _received_ns(from_camera.get("TimeReceivedByCore"), arrival_ns)
    stage = {"x": event.x_pos, "y": event.y_pos, "z": event.z_pos}
    channel = event.channel
    return FrameInfo(
        axes={names.get(axis, axis): n for axis, n in index.items()},
        channel="" if channel is None else str(channel.config),
        camera_index=camera_index,
        received_ns=received_ns,
        elapsed_ms=_number(meta, "runner_time_ms") if received_ns is None else None,
        exposure_ms=_number(meta, "exposure_ms"),
        pixel_size_um=_number(meta, "pixel_size_um") or None,
        stage_um={axis: float(value) for axis, value in stage.items() if value is not None},
    )


def _index(value: object) -> int | str:
    return value if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _number(tags: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        value = tags.get(name)
        if value not in _UNDEFINED:
            try:
                return float(value)
            except (TypeError, ValueError):
                continue
    return None


def _whole(tags: Mapping[str, Any], name: str) -> int | None:
    number = _number(tags, name)
    return None if number is None else int(number)


def _received_ns(text: object, arrival_ns: int) -> int | None:
    """Local time with microseconds, as the core writes it; twice a year an hour happens twice."""
    try:
        local = dt.datetime.strptime(str(text), "%Y-%m-%d %H:%M:%S.%f")  # noqa: DTZ007 - given in local time
    except ValueError:
        return None
    moments = (local.replace(fold=fold).astimezone() for fold in (0, 1))
    stamps = [int(moment.timestamp() * 1e6) * 1000 for moment in moments]
    return min(stamps, key=lambda stamp: abs(stamp - arrival_ns))
