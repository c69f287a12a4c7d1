"""Turns the axes of NDTiff images into keys of frames, and keeps the list of channels.

Axes are named by whoever acquires: ``time``, ``channel`` (number or preset name), ``z``, ``position`` (number or
label), ``row`` and ``column`` of a tiled field. Cameras that expose together may share their axes; the metadata tell
them apart. An axis that nobody else knows (``laser``) makes channels.
"""

from collections.abc import Mapping

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.mm_metadata import MMFacts
from quietscope.adapters.timeline import Timeline
from quietscope.config.errors import FrameError

__all__ = ["AxisMap"]

_PLACES = ("position", "row", "column")
_KNOWN = {"time", "channel", "z", *_PLACES}

_MOST_CHANNELS, _MOST_PLACES = 64, 10_000
"""Larger numbers are not taken over: no series has so many, and the list of channels is filled up to the number."""

_Value = int | str
_Identity = tuple[tuple[str, _Value], ...]


class AxisMap:
    """Makes frame keys for all data sets of a series.

    Parameters
    ----------
    channels
        Channel names; new ones are appended.
    timeline
        The count of time points.
    """

    def __init__(self, channels: list[str], timeline: Timeline) -> None:
        self._channels = channels
        self._timeline = timeline
        self._channel_of: dict[_Identity, int] = {}
        self._place_of: dict[_Identity, int] = {}

    def key(
        self, data_set: str, axes: Mapping[str, _Value], facts: MMFacts, stated: tuple[str, ...]
    ) -> FrameKey:
        """Key of an image.

        Parameters
        ----------
        data_set
            Name of its data set, which counts its own time points.
        axes
            Its axes.
        facts
            What its metadata say.
        stated
            Channel names by number, as far as the data set states them.

        Raises
        ------
        FrameError
            With reason ``axes`` for values that can be no place in a series.
        """
        known = _lower(axes)
        t, z = _number(known, "time"), _number(known, "z")
        channel, place = _channel(known, facts.camera_channel), _place(known)
        if place not in self._place_of:
            single = place[0][1] if len(place) == 1 else 0
            self._place_of[place] = _free(set(self._place_of.values()), single, _MOST_PLACES)
        if channel not in self._channel_of:
            index = _free(set(self._channel_of.values()), known.get("channel", 0), _MOST_CHANNELS)
            self._name(index, channel, facts, stated)
            self._channel_of[channel] = index
        t = self._timeline.place(data_set, t)
        return FrameKey(t, self._channel_of[channel], z, self._place_of[place])

    def restore(self, data_set: str, axes: Mapping[str, _Value], camera_channel: int, key: FrameKey) -> None:
        """Note the key that an earlier run has given to an image.

        Raises
        ------
        FrameError
            If these axes can have no key.
        """
        known = _lower(axes)
        self._channel_of[_channel(known, camera_channel)] = key.c
        self._place_of[_place(known)] = key.p
        self._timeline.restore(data_set, _number(known, "time"), key.t)

    def _name(self, index: int, channel: _Identity, facts: MMFacts, stated: tuple[str, ...]) -> None:
        identity = dict(channel)
        value = identity.pop("channel", 0)
        camera = identity.pop("camera", 0)
        if isinstance(value, str):
            name = value
        else:
            name = (stated[value] if 0 <= value < len(stated) else "") or facts.channel or ""
        name = ", ".join(
            [*([name] if name else []), *(f"{axis} {number}" for axis, number in identity.items())]
        )
        if camera:
            name = f"{name} ({facts.camera or f'camera {camera}'})".strip()
        while len(self._channels) <= index:
            self._channels.append(f"channel {len(self._channels)}")
        if name and name not in self._channels:
            self._channels[index] = name


def _lower(axes: Mapping[str, _Value]) -> dict[str, _Value]:
    # Tiled acquisitions name the z axis after the stage, which may well be called Z.
    return {name.lower() if name.lower() in _KNOWN else name: value for name, value in axes.items()}


def _number(axes: Mapping[str, _Value], name: str) -> int:
    value = axes.get(name, 0)
    if not isinstance(value, int) or value < 0:
        message = f"its axis {name} has the value {value!r} where a number from 0 on is expected"
        raise FrameError("axes", message)
    return value


def _channel(axes: Mapping[str, _Value], camera_channel: int) -> _Identity:
    """What makes a channel of its own: the channel, the camera, and every axis that nobody else knows."""
    others = sorted(
        (name, value) for name, value in axes.items() if name not in _KNOWN and value not in {0, ""}
    )
    channel = [("channel", axes["channel"])] if axes.get("channel", "") != "" else []
    return (*channel, *([("camera", camera_channel)] if camera_channel else []), *others)


def _place(axes: Mapping[str, _Value]) -> _Identity:
    return tuple((name, axes[name]) for name in _PLACES if name in axes)


def _free(used: set[int], wanted: _Value, limit: int) -> int:
    if isinstance(wanted, int) and 0 <= wanted < limit and wanted not in used:
        return wanted
    return max(used, default=-1) + 1
