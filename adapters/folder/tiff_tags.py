"""Reads single directories (IFDs) of a TIFF, believing nothing that lies beyond the end of the file.

Sources: TIFF 6.0 (Adobe, 1992), section 2; BigTIFF design (Aware Systems).
"""

import struct
from dataclasses import dataclass
from typing import BinaryIO, Literal

from quietscope.adapters.sharing import read_at

__all__ = ["Directory", "MissingBytesError", "TagReader"]

_TYPE_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_INTEGER_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_MAX_ENTRIES = 4096


class MissingBytesError(Exception):
    """Something that the file's tables point to is not in the file (yet)."""


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: int
    count: int
    inline: bytes
    offset: int | None

    @property
    def nbytes(self) -> int:
        return _TYPE_SIZES.get(self.kind, 1) * self.count


Directory = dict[int, list[_Entry]]
"""Entries of a directory by tag number."""


class TagReader:
    """Reads directories and their values.

    Parameters
    ----------
    file
        The file, open for reading without a buffer.
    size
        Bytes of it that are believed.
    byteorder
        ``<`` or ``>``.
    big
        The file is a BigTIFF.

    Notes
    -----
    Every method that reads raises `MissingBytesError` for what is not there, and OSError if reading fails.
    """

    def __init__(self, file: BinaryIO, size: int, byteorder: Literal["<", ">"], *, big: bool) -> None:
        self._file = file
        self._size = size
        self.byteorder: Literal["<", ">"] = byteorder
        self._count_format, self._entry_size, self._offset_format = ("Q", 20, "Q") if big else ("H", 12, "I")

    def unpack_offset(self, data: bytes) -> int:
        """Decode a file offset."""
        return self._unpack(self._offset_format, data)

    def _unpack(self, code: str, data: bytes) -> int:
        return int(struct.unpack(self.byteorder + code, data)[0])

    def span(self, offset: int, count: int, what: str) -> bytes:
        """Read a stretch that must be there; `what` names it in the error."""
        if offset <= 0 or offset + count > self._size:
            raise MissingBytesError(f"{what} lies beyond the end of the file")
        data = read_at(self._file, offset, count)
        if len(data) < count:
            raise MissingBytesError(f"{what} lies beyond the end of the file")
        return data

    def is_blank(self, offset: int) -> bool:
        """Whether there are zeros inside the file at `offset`, where a preallocating writer has not come yet."""
        return 0 < offset < self._size and not any(read_at(self._file, offset, 8))

    def directory(self, offset: int) -> tuple[bytes, int]:
        """Entries of the directory at `offset`, undecoded, and the offset of the next directory."""
        width = struct.calcsize(self._count_format)
        count = self._unpack(self._count_format, self.span(offset, width, "its directory"))
        if not 0 < count <= _MAX_ENTRIES:
            raise MissingBytesError("its directory is not written")
        tail = struct.calcsize(self._offset_format)
        body = self.span(offset + width, count * self._entry_size + tail, "its directory")
        return body[:-tail], self._unpack(self._offset_format, body[-tail:])

    def entries(self, body: bytes) -> Directory:
        """Decode the entries of a directory, without their values."""
        value_size = struct.calcsize(self._offset_format)
        entries: Directory = {}
        for start in range(0, len(body), self._entry_size):
            code, kind, count = struct.unpack_from(self.byteorder + "HH" + self._offset_format, body, start)
            if not kind:
                # A directory in a preallocated place is zeros until it is written, and may be half written.
                raise MissingBytesError("its directory is not written whole")
            value = body[start + self._entry_size - value_size : start + self._entry_size]
            outside = _TYPE_SIZES.get(kind, 1) * count > value_size
            offset = self._unpack(self._offset_format, value) if outside else None
            entries.setdefault(code, []).append(_Entry(kind, count, value, offset))
        return entries

    def _bytes(self, entry: _Entry, what: str) -> bytes:
        if entry.offset is None:
            return entry.inline[: entry.nbytes]
        return self.span(entry.offset, entry.nbytes, what)

    def integers(self, entries: Directory, code: int, default: int | None = None) -> tuple[int, ...]:
        """Values of an integer tag; `default` where the directory lacks it."""
        if code not in entries:
            if default is None:
                raise MissingBytesError(f"its directory has no tag {code}")
            return (default,)
        entry = entries[code][0]
        if entry.kind not in _INTEGER_CODES or entry.count == 0:
            raise MissingBytesError(f"tag {code} of its directory is not written")
        data = self._bytes(entry, f"tag {code}")
        return struct.unpack(f"{self.byteorder}{entry.count}{_INTEGER_CODES[entry.kind]}", data)

    def texts(self, entries: Directory, code: int) -> tuple[str, ...]:
        """Values of all entries of a text tag."""
        return tuple(
            self._bytes(entry, f"tag {code}").rstrip(b"\0").decode("utf-8", "replace")
            for entry in entries.get(code, [])
        )

    def ratio(self, entries: Directory, code: int) -> float | None:
        """Value of a rational tag, or None."""
        if code not in entries or entries[code][0].kind != 5:
            return None
        data = self._bytes(entries[code][0], f"tag {code}")
        if len(data) < 8:
            return None
        above, below = struct.unpack(self.byteorder + "II", data[:8])
        return above / below if below else None
