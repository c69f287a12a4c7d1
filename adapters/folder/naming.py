"""Keys from file names: the user's pattern, or Micro-Manager's names recognised by themselves.

Sources: Micro-Manager 2 `StorageSinglePlaneTiffSeries` (``img_channel000_position000_time000000000_z000.tif``: axes
sorted by name, only axes in use, a sub-folder per position) and Micro-Manager 1.4 (``img_000000000_DAPI_000.tif``).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from quietscope.config.errors import SettingsError

__all__ = ["NameKey", "NameReader", "natural_key"]

_MM2 = re.compile(r"img((?:_[a-z]+\d{3,})+)\.tiff?", re.IGNORECASE)
_MM2_AXIS = re.compile(r"_([a-z]+)(\d{3,})", re.IGNORECASE)
_MM14 = re.compile(r"img_(?P<t>\d{9,})_(?P<c>.*)_(?P<z>\d{3,})\.tiff?", re.IGNORECASE)
_MM_AXES = {"time", "channel", "z", "position"}
_MAX_CHANNEL_NUMBER = 31


@dataclass(frozen=True, slots=True)
class NameKey:
    """What a file name says; None for an axis it does not name.

    Parameters
    ----------
    t, z, p
        Numbers as they come.
    c
        Channel number, or a channel name.
    folder
        Sub-folder that stands for a position, or None.
    """

    t: int | None = None
    c: int | str | None = None
    z: int | None = None
    p: int | None = None
    folder: str | None = None

    @property
    def axes(self) -> frozenset[str]:
        """Axes that the name gives."""
        given = {"t": self.t, "c": self.c, "z": self.z, "p": self.p if self.p is not None else self.folder}
        return frozenset(axis for axis, value in given.items() if value is not None)


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorting key that puts ``img2`` before ``img10``."""
    parts = re.split(r"(\d+)", name.casefold())
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def _micro_manager(name: str) -> NameKey | None:
    folder, _, file = name.rpartition("/")
    if found := _MM2.fullmatch(file):
        numbers = {axis.lower(): int(value) for axis, value in _MM2_AXIS.findall(found[1])}
        if any(value for axis, value in numbers.items() if axis not in _MM_AXES):
            return None
        t, c, z = (numbers.get(axis, 0) for axis in ("time", "channel", "z"))
        p = numbers.get("position")
        return NameKey(t, c, z, p, folder if p is None else None)
    if found := _MM14.fullmatch(file):
        return NameKey(t=int(found["t"]), c=found["c"] or "Default", z=int(found["z"]), folder=folder)
    return None


class NameReader:
    """Reads keys from the names of one watched folder.

    Parameters
    ----------
    pattern
        Regular expression with named groups ``t``, ``c``, ``z``, ``p``, searched in the path relative to the folder
        (with ``/``); None recognises Micro-Manager's names, else names mean nothing.

    Raises
    ------
    SettingsError
        If the pattern is no regular expression or has none of the groups.
    """

    def __init__(self, pattern: str | None) -> None:
        self.pattern = pattern
        self._expression: re.Pattern[str] | None = None
        self._micro_manager: bool | None = None
        if pattern is None:
            return
        try:
            self._expression = re.compile(pattern)
        except re.error as error:
            message = f"pattern = {pattern!r} is no regular expression ({error}); correct it or leave it out"
            raise SettingsError(message) from error
        groups = set(self._expression.groupindex)
        if not groups or groups - set("tczp"):
            named = ", ".join(sorted(groups)) or "none"
            message = (
                f"pattern = {pattern!r} has the named groups {named}; name at least one of t, c, z, p and no other, "
                r"for example (?P<c>\w+)_t(?P<t>\d+)\.tif"
            )
            raise SettingsError(message)

    def decide(self, names: Iterable[str]) -> None:
        """Settle from the first names whether they are Micro-Manager's: most of them must be."""
        if self._micro_manager is None and self._expression is None:
            fits = [_micro_manager(name) is not None for name in names]
            if fits:
                self._micro_manager = 2 * sum(fits) > len(fits)

    def read(self, name: str) -> NameKey | None:
        """What a name says, or None if it does not fit the names of this series.

        Parameters
        ----------
        name
            Path relative to the watched folder, with ``/``.
        """
        if self._expression is not None:
            return self._read_pattern(name)
        self.decide([name])
        return _micro_manager(name) if self._micro_manager else NameKey()

    @property
    def by_micro_manager(self) -> bool:
        """Whether the names are Micro-Manager's."""
        return bool(self._micro_manager)

    @property
    def expected(self) -> str:
        """The names of this series in words."""
        return f"pattern = {self.pattern!r}" if self.pattern else "Micro-Manager's names of this series"

    def _read_pattern(self, name: str) -> NameKey | None:
        found = self._expression.search(name) if self._expression else None
        if found is None:
            return None
        said = {letter: text for letter, text in found.groupdict().items() if text is not None}
        channel = said.pop("c", None)
        if not all(text.isdecimal() for text in said.values()):
            return None
        t, z, p = (int(said[letter]) if letter in said else None for letter in "tzp")
        c: int | str | None = channel
        if channel is not None and channel.isdecimal() and int(channel) <= _MAX_CHANNEL_NUMBER:
            c = int(channel)
        return NameKey(t, c, z, p)
