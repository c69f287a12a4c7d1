"""Joins what a file's name and its contents say into the key of a frame, and keeps the list of channels."""

from typing import Any

from quietscope.adapters.folder.file_record import FileRecord
from quietscope.adapters.folder.naming import NameKey, NameReader
from quietscope.adapters.folder.stack_axes import StackInfo
from quietscope.adapters.frame import FrameKey
from quietscope.config.errors import FrameError

__all__ = ["KeyMaker", "mm_info"]

_MM_INDICES = {
    "t": ("FrameIndex", "Frame"),
    "c": ("ChannelIndex",),
    "z": ("SliceIndex", "Slice"),
    "p": ("PositionIndex",),
}
_Named = tuple[int | None, int | None, int | None]
_MM_AXES = {"time": "t", "channel": "c", "z": "z", "position": "p"}


def mm_info(said: dict[str, Any]) -> tuple[dict[str, int | str], str | None]:
    """Place and channel name of a plane from Micro-Manager's metadata.

    Parameters
    ----------
    said
        The plane's metadata.

    Returns
    -------
    place : dict
        Index by axis (a channel may be a name); empty if the metadata say nothing.
    channel : str or None
        Channel name.
    """
    axes = said.get("Axes")
    if isinstance(axes, dict):
        return {_MM_AXES.get(str(a), str(a)): n for a, n in axes.items() if isinstance(n, int | str)}, None
    place: dict[str, int | str] = {}
    for axis, names in _MM_INDICES.items():
        for name in names:
            if isinstance(said.get(name), int):
                place[axis] = said[name]
                break
    channel = said.get("Channel")
    return place, channel if isinstance(channel, str) and channel else None


class KeyMaker:
    """Makes frame keys for one series.

    Parameters
    ----------
    names
        Reads file names.
    first_index
        Number that means 0 in file names.
    channels
        Channel names; new ones are appended.
    """

    def __init__(
        self,
        names: NameReader,
        first_index: int = 0,
        channels: list[str] | None = None,
    ) -> None:
        self._names = names
        self._first_index = first_index
        self._channels: list[str] = [] if channels is None else channels
        self._channels_named: bool | None = None
        self._folders: dict[str, int] = {}
        self._next_t: dict[_Named, int] = {}
        self._groups: dict[tuple[str, int | None, int | None, int | None], dict[int, int]] = {}

    @property
    def channels(self) -> tuple[str, ...]:
        """Channel names so far."""
        return tuple(self._channels)

    @property
    def by_micro_manager(self) -> bool:
        """Whether the names of the series are Micro-Manager's."""
        return self._names.by_micro_manager

    def name_key(self, record: FileRecord) -> NameKey:
        """What the file's name says.

        Raises
        ------
        FrameError
            With reason ``name`` if it does not fit the names of the series.
        """
        key = self._names.read(record.name)
        if key is None:
            message = f"its name does not fit {self._names.expected}; change `pattern`, or leave it out with `include`"
            raise FrameError("name", message)
        return key

    def key(self, record: FileRecord, info: StackInfo, index: int, said: dict[str, Any]) -> FrameKey:
        """Key of one plane; new channels are added to `channels`.

        Parameters
        ----------
        record
            The file.
        info
            What the file says of its planes.
        index
            The plane's place in the file.
        said
            Micro-Manager's metadata of the plane, or empty.

        Raises
        ------
        FrameError
            With reason ``name`` if the name does not fit, ``axes`` if name and contents contradict each other.
        """
        name = self.name_key(record)
        place, channel, group = self._stated(record, name, info, index, said)
        return self._join(record, name, place, channel=channel, info=info, group=group)

    def remember(self, file_name: str, key: FrameKey) -> None:
        """Note that an earlier run has given a key to a file of this name, so that counts go on behind it."""
        name = self._names.read(file_name)
        if name is None:
            return
        if name.folder is not None:
            self._folders[name.folder] = key.p
        if name.t is None:
            named = (key.c if name.c is not None else None, name.z, name.p)
            self._next_t[named] = max(self._next_t.get(named, 0), key.t + 1)

    def restore(
        self, record: FileRecord, info: StackInfo, index: int, said: dict[str, Any], key: FrameKey
    ) -> None:
        """Note the key that an earlier run has given to one plane; parameters and errors are those of `key`."""
        name = self.name_key(record)
        place, _, group = self._stated(record, name, info, index, said)
        if name.t is None:
            named = (key.c if name.c is not None else None, name.z, name.p)
            self._times(record, group, named)[self._number(None, place.get("t", 0))] = key.t

    def _stated(
        self, record: FileRecord, name: NameKey, info: StackInfo, index: int, said: dict[str, Any]
    ) -> tuple[dict[str, int | str], str | None, str | None]:
        """Place, channel name and group that the contents of a file state for one plane."""
        place: dict[str, int | str] = {}
        channel, group = None, info.group
        if said:
            place, channel = mm_info(said)
            group = record.name.split("_MMStack")[0] if place else group
            unknown = {axis for axis, value in place.items() if axis not in "tczp" and value not in {0, ""}}
            if unknown:
                raise FrameError(
                    "axes", f"it has axes that quietscope does not know ({', '.join(sorted(unknown))})"
                )
        if not place:
            both = name.axes & info.extended
            if both:
                message = (
                    f"both its name and its contents give {', '.join(sorted(both))}; leave the group out of `pattern`, "
                    "or say what its pages are with `stack_axes`"
                )
                raise FrameError("axes", message)
            place = dict(info.place(index))
        return place, channel, group

    def _times(self, record: FileRecord, group: str | None, named: _Named) -> dict[int, int]:
        """Time point of the series for each time point of a stack or of a group of stacks."""
        return record.times if group is None else self._groups.setdefault((group, *named), {})

    def _join(
        self,
        record: FileRecord,
        name: NameKey,
        place: dict[str, int | str],
        *,
        channel: str | None,
        info: StackInfo,
        group: str | None,
    ) -> FrameKey:
        c = self._channel(name.c, place.get("c", 0), channel, info)
        z = self._number(name.z, place.get("z", 0))
        p = self._number(name.p, place.get("p", 0))
        if name.folder is not None:
            p = self._folders.setdefault(name.folder, len(self._folders))
        if name.t is not None:
            return FrameKey(self._number(name.t, 0), c, z, p)
        named = (c if name.c is not None else None, name.z, name.p)
        times = self._times(record, group, named)
        own_t = self._number(None, place.get("t", 0))
        if own_t not in times:
            times[own_t] = self._next_t.get(named, 0)
            self._next_t[named] = times[own_t] + 1
        return FrameKey(times[own_t], c, z, p)

    def _number(self, named: int | None, own: int | str) -> int:
        if named is None:
            if not isinstance(own, int) or own < 0:
                raise FrameError("axes", f"its metadata give {own!r} where a number from 0 on is expected")
            return own
        if named < self._first_index:
            message = f"its name says {named}, but first_index = {self._first_index}; set first_index to 0"
            raise FrameError("name", message)
        return named - self._first_index

    def _channel(self, named: int | str | None, own: int | str, own_name: str | None, info: StackInfo) -> int:
        value = own if named is None else named
        if isinstance(value, str):
            return self._channel_of_name(value)
        if named is not None:
            if self._channels_named is True:
                return self._channel_of_name(str(value))
            self._channels_named = False
            value = self._number(value, 0)
        elif value < 0:
            raise FrameError("axes", f"its metadata give channel {value}")
        stated = max(len(info.channels), info.planned.get("c", 1)) if named is None else 1
        while len(self._channels) < max(value + 1, stated):
            self._channels.append(self._channel_name(len(self._channels), value, own_name, info))
        return value

    def _channel_name(self, index: int, wanted: int, own_name: str | None, info: StackInfo) -> str:
        if index == wanted and own_name:
            return own_name
        stated = info.channels[index] if index < len(info.channels) else ""
        return stated or f"channel {index}"

    def _channel_of_name(self, name: str) -> int:
        if self._channels_named is False:
            raise FrameError(
                "name", f"its name gives channel {name!r}, but those before gave numbers; change `pattern`"
            )
        self._channels_named = True
        if name not in self._channels:
            self._channels.append(name)
        return self._channels.index(name)
