"""From Micro-Manager's axes to a place in the series: every frame gets a key of its own."""

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import NamedTuple

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.micromanager.info import FrameInfo

__all__ = ["Places"]

_PLAIN_AXES = ("time", "z", "position")
_CAMERA_AXES = ("camera", "cam")


class Places:
    """Gives frames their keys, and channels their names.

    Channels are counted in the order in which they appear, one for each combination of preset, camera, camera of a
    multi-camera device, and colour. Further axes (tiles of a grid, angles) are counted as positions. A frame that comes
    to an occupied place begins a new acquisition, whose time points follow on those of the former one.

    Parameters
    ----------
    first_t
        First free time point.
    channels
        Names of channels that exist already.
    """

    def __init__(self, *, first_t: int = 0, channels: Sequence[str] = ()) -> None:
        self._first_t = first_t
        self._next_t = first_t
        self._names = list(channels)
        self._known = list(channels)
        self._channels: dict[Hashable, int] = {}
        self._cameras: list[str] = []
        self._z = _Numbers()
        self._positions = _Numbers()
        self._taken: set[FrameKey] = set()
        self._sequence: _Sequence | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels so far."""
        return tuple(self._names)

    def new_acquisition(self) -> None:
        """Say that what comes is a new acquisition: its time points follow on the former ones."""
        self._first_t = self._next_t
        self._taken.clear()
        self._sequence = None

    def place(self, info: FrameInfo, colour: str = "") -> FrameKey:
        """Key of a frame.

        Parameters
        ----------
        info
            What is known of it.
        colour
            Name of the colour plane of a colour camera.
        """
        key = self._key(info, colour)
        if key in self._taken:
            self.new_acquisition()
            key = self._key(info, colour)
        self._taken.add(key)
        self._next_t = max(self._next_t, key.t + 1)
        return key

    def _key(self, info: FrameInfo, colour: str) -> FrameKey:
        others = tuple(sorted((a, v) for a, v in info.axes.items() if a not in (*_PLAIN_AXES, *_CAMERA_AXES)))
        z, position = info.axes.get("z", 0), info.axes.get("position", 0)
        t = self._time(info)
        return FrameKey(
            self._first_t + (t if isinstance(t, int) and t >= 0 else 0),
            self._channel(info, colour),
            self._z.of(z, z),
            self._positions.of((position, others), None if others else position),
        )

    def _time(self, info: FrameInfo) -> int | str:
        """Time index; of multi-camera sequences pycromanager deals the indices out in order of arrival."""
        t = info.axes.get("time", 0)
        if info.image_number is None or not isinstance(t, int):
            self._sequence = None
            return t
        rest = {axis: value for axis, value in info.axes.items() if axis != "time"} | {"": info.channel}
        sequence = self._sequence
        if sequence is None or info.image_number <= sequence.seen.get(info.camera_index, -1):
            sequence = self._sequence = _Sequence(t - info.image_number, rest, {})
        sequence.seen[info.camera_index] = info.image_number
        # The first image is the sequence's first time point, and each camera delivers its images in order.
        return sequence.start + info.image_number if rest == sequence.rest else t

    def _channel(self, info: FrameInfo, colour: str) -> int:
        if info.camera_index:  # whichever camera is first, the channels are in the cameras' order
            self._channel(replace(info, camera_index=info.camera_index - 1), colour)
        axis = next((info.axes[name] for name in _CAMERA_AXES if name in info.axes), None)
        identity = (info.channel, info.camera, info.camera_index, axis, colour)
        if identity not in self._channels:
            name = self._name(info, axis, colour)
            if name in self._known:  # of a former session of the same run
                self._channels[identity] = self._names.index(name)
                self._known.remove(name)
            else:
                self._channels[identity] = len(self._names)
                self._names.append(name)
        return self._channels[identity]

    def _name(self, info: FrameInfo, axis: int | str | None, colour: str) -> str:
        if info.camera not in self._cameras:
            self._cameras.append(info.camera)
        parts = [info.channel or info.camera or "channel"]
        if info.channel and info.camera != self._cameras[0]:
            parts.append(info.camera)
        if axis is not None:
            parts.append(f"camera {axis}")
        if info.camera_index:
            parts.append(f"camera {info.camera_index + 1}")
        name = " ".join([*parts, colour] if colour else parts)
        taken = {n for n in self._names if n not in self._known}
        return name if name not in taken else f"{name} ({len(self._names)})"


class _Sequence(NamedTuple):
    """A hardware sequence of several cameras: its first time point, other axes, and each camera's last image number."""

    start: int
    rest: dict[str, int | str]
    seen: dict[int, int]


class _Numbers:
    """Numbers things from 0: each its own number where it has one that is free, else the next free one."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def of(self, thing: Hashable, wanted: object) -> int:
        if thing not in self._numbers:
            taken = set(self._numbers.values())
            good = isinstance(wanted, int) and wanted >= 0 and wanted not in taken
            self._numbers[thing] = (
                int(str(wanted)) if good else next(n for n in itertools.count() if n not in taken)
            )
        return self._numbers[thing]
