"""Follows the index of an NDTiff data set that is still being written.

The *only* module that reads ``NDTiff.index``. Source: the NDTiff 3 format description of NDTiffStorage. An entry is
the length of a JSON text and the text (axes), the length of a file name and the name, and eight 32-bit numbers.
Micro-Manager fills the whole file with zeros beforehand and writes each entry after its image; the Python writer's
entries come in pieces of 8 KiB, so that the last one is mostly torn.
"""

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quietscope.adapters.foreign_json import parse_json
from quietscope.adapters.sharing import open_shared, read_at

__all__ = ["IndexEntry", "IndexTail"]

_LENGTH = struct.Struct("<I")
_NUMBERS = struct.Struct("<8I")
_MOST_AXES_BYTES, _MOST_NAME_BYTES = 65536, 4096
_CHUNK = 1 << 20
_PAGE = 4096
_ZEROS = 64


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One image of a data set.

    Parameters
    ----------
    axes
        Place of the image: axis → number or text.
    file
        Name of the stack that holds it.
    offset, height, width
        Place of its pixels in the stack, bytes, and its size, pixels.
    pixel_type
        The format's number for the pixel type.
    metadata_offset, metadata_length
        Place of its metadata in the stack, bytes.
    compressed
        Pixels or metadata are compressed.
    """

    axes: Mapping[str, int | str]
    file: str
    offset: int
    height: int
    width: int
    pixel_type: int
    metadata_offset: int
    metadata_length: int
    compressed: bool = False


class _DamagedError(Exception):
    """The index holds something that no writer writes."""


class IndexTail:
    """Reads only what was appended to an index since the last time.

    Parameters
    ----------
    path
        The index; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position = 0
        self._state: tuple[int, ...] | None = None
        self.problem = ""
        self.changed = False
        self.preallocated = False
        self._unsure = b""

    def poll(self) -> list[IndexEntry]:
        """Whole entries that are new, at most about a mebibyte of them at once.

        Afterwards `problem` says why the next entry could not be read, empty where there simply is none; `preallocated`
        whether zeros wait for it to be written; `changed` whether the file is another one or another state of it than
        the last time.

        Raises
        ------
        FileNotFoundError
            If there is no index yet.
        OSError
            If it cannot be read.
        """
        with open_shared(self.path) as file:
            found = os.fstat(file.fileno())
            state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
            self.changed, self._state = state != self._state, state
            data = read_at(file, self._position, _CHUNK)
        entries, used = self._parse(data)
        self._position += used
        return entries

    def restart(self) -> None:
        """Begin anew: the data set has been written again."""
        self._position = 0

    def _parse(self, data: bytes) -> tuple[list[IndexEntry], int]:
        entries: list[IndexEntry] = []
        start = used = 0
        self.problem = ""
        self.preallocated = False
        while used < len(data):
            try:
                found = _entry(data, used)
            except _DamagedError as error:
                self.problem = f"{error} at byte {self._position + used} of {self.path.name}"
                break
            if found is None:
                blank = not any(data[used : used + 4])
                self.preallocated = blank or (len(data) - used > 2 * _ZEROS and not any(data[-_ZEROS:]))
                if not blank:
                    self.problem = f"the last entry of {self.path.name} is not whole"
                break
            entry, start, used = found[0], used, found[1]
            entries.append(entry)
        if self.preallocated and entries and self._may_be_torn(data, start, used):
            return entries[:-1], start
        return entries, used

    def _may_be_torn(self, data: bytes, start: int, end: int) -> bool:
        """Whether the newest entry among zeros has to be seen once more: a page of a file may come before the next."""
        if (self._position + start) // _PAGE == (self._position + end - 1) // _PAGE:
            return False
        before, self._unsure = self._unsure, data[start:end]
        return before != self._unsure


def _entry(data: bytes, start: int) -> tuple[IndexEntry, int] | None:
    """The entry at `start` and where the next one begins; None while it is not whole."""
    if start + 4 > len(data):
        return None
    (length,) = _LENGTH.unpack_from(data, start)
    if length > _MOST_AXES_BYTES:
        raise _DamagedError(f"impossible length {length}")
    end = start + 4 + length
    if length == 0 or end + 4 > len(data):
        return None
    (name_length,) = _LENGTH.unpack_from(data, end)
    if name_length > _MOST_NAME_BYTES:
        raise _DamagedError(f"impossible length of a file name, {name_length},")
    stop = end + 4 + name_length
    if name_length == 0 or stop + _NUMBERS.size > len(data):
        return None
    offset, width, height, pixel_type, packed, place, size, packed_too = _NUMBERS.unpack_from(data, stop)
    if not (offset and width and height and place and size):
        return None
    try:
        axes = parse_json(data[start + 4 : end])
        name = data[end + 4 : stop].decode("utf-8")
    except ValueError as error:
        raise _DamagedError("unreadable axes or file name") from error
    if not isinstance(axes, dict) or not all(isinstance(value, int | str) for value in axes.values()):
        raise _DamagedError(f"impossible axes {axes!r}")
    if any(character in "/\\:" or character < " " for character in name):
        raise _DamagedError(f"a stack outside the data set ({name!r})")
    entry = IndexEntry(axes, name, offset, height, width, pixel_type, place, size, bool(packed or packed_too))
    return entry, stop + _NUMBERS.size
