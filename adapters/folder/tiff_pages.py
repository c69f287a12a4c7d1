"""Walks the chain of image file directories (IFDs) of a TIFF that may still be growing.

The *only* module that reads the structure of a TIFF file. It answers which pages are there with all their
pixels, from the file's own tables: sizes and modification times say nothing while a file is written, and
readers made for finished files return short stacks of truncated files without a word.

Sources: TIFF 6.0 (Adobe, 1992), TIFF specification supplement for BigTIFF (Aware Systems).
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from quietscope.adapters.folder.sharing import read_at

__all__ = ["MissingBytesError", "TiffChain", "TiffCursor", "TiffPage"]

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
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_DESCRIPTION, _STRIP_OFFSETS, _SAMPLES, _STRIP_COUNTS, _X_RESOLUTION, _PLANAR = 270, 273, 277, 279, 282, 284
_RESOLUTION_UNIT, _SOFTWARE, _PREDICTOR, _TILE_OFFSETS, _TILE_COUNTS = 296, 305, 317, 324, 325
_SAMPLE_FORMAT, _FILL_ORDER, _DEPTH, _MM_METADATA = 339, 266, 32997, 51123
_KINDS = {1: "uint", 2: "int", 3: "float", 4: "uint", 5: "complexint", 6: "complex"}
_MAX_ENTRIES = 4096


class MissingBytesError(Exception):
    """Something that the file's tables point to is not in the file (yet)."""


@dataclass(frozen=True, slots=True)
class TiffPage:
    """One page of a TIFF.

    Parameters
    ----------
    index
        Place in the chain, from 0.
    ifd, next_ifd
        Byte offsets of this page's directory and of the next one; 0 ends the chain.
    height, width
        Size, pixels.
    dtype
        NumPy-like name of the pixel type (``uint16``, ``uint12``, …).
    byteorder
        ``<`` or ``>``.
    samples
        Samples per pixel; more than 1 means colour.
    compression
        Compression scheme; 1 is none.
    raw
        Byte offset of the pixels where they lie in one uncompressed run, else None.
    missing
        What is missing of the page, empty if its pixels are all there.
    reduced
        The page is a thumbnail or a pyramid level.
    descriptions
        Image descriptions of the page; read for the first page only.
    software
        Name of the writing program; read for the first page only.
    x_resolution, resolution_unit
        Pixels per unit and the unit's number in TIFF; read for the first page only.
    mm_metadata
        Byte offset and length of Micro-Manager's metadata, else None.
    """

    index: int
    ifd: int
    next_ifd: int
    height: int
    width: int
    dtype: str
    byteorder: Literal["<", ">"]
    samples: int
    compression: int
    raw: int | None
    missing: str
    reduced: bool
    descriptions: tuple[str, ...]
    software: str
    x_resolution: float | None
    resolution_unit: int
    mm_metadata: tuple[int, int] | None


@dataclass(slots=True)
class TiffCursor:
    """Where a walk stopped, so that the next one reads only what was appended since."""

    first_ifd: int
    last_ifd: int
    last_index: int
    seen: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: int
    count: int
    inline: bytes
    offset: int | None

    @property
    def nbytes(self) -> int:
        return _TYPE_SIZES.get(self.kind, 1) * self.count


class TiffChain:
    """The pages of one open TIFF file.

    Parameters
    ----------
    file
        The file, open for reading without a buffer.
    size
        Its size in bytes, taken *before* the walk: nothing beyond is believed.

    Raises
    ------
    MissingBytesError
        If the header is not there yet.
    ValueError
        If the file is no TIFF.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        head = read_at(file, 0, 16)
        if len(head) < 8 or not any(head[:8]):
            raise MissingBytesError("the header is missing")
        if head[:4] not in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}:
            raise ValueError("no TIFF header")
        self.byteorder: Literal["<", ">"] = "<" if head[:2] == b"II" else ">"
        self.big = head[:4] in {b"II+\0", b"MM\0+"}
        if len(head) < 16 and self.big:
            raise MissingBytesError("the header is missing")
        self._count_format, self._entry_size, self._offset_format = (
            ("Q", 20, "Q") if self.big else ("H", 12, "I")
        )
        self.first_ifd: int = self._unpack(self._offset_format, head[8:16] if self.big else head[4:8])
        self.open_end = False
        self.problem = ""
        self.cursor = TiffCursor(self.first_ifd, 0, -1)

    def pages(self, cursor: TiffCursor | None = None) -> Iterator[TiffPage]:
        """Walk the chain; afterwards `problem` says why it broke off and `cursor` where it stopped.

        Parameters
        ----------
        cursor
            Where an earlier walk of the same file stopped; pages up to there are not read again.

        Yields
        ------
        TiffPage
            Every page whose directory is there, in order, whether its pixels are there or not.
        """
        offset, index = self.first_ifd, 0
        if cursor is not None and cursor.first_ifd == self.first_ifd and cursor.last_index >= 0:
            self.cursor = cursor
            offset, index = self._next_of(cursor.last_ifd), cursor.last_index + 1
        micro_manager = False
        while offset or index == 0:
            try:
                page = self._page(index, offset)
            except MissingBytesError as error:
                self.open_end = micro_manager and not self.problem and self._is_blank(offset)
                self.problem = self.problem or f"page {index}: {error}"
                return
            if page.ifd in self.cursor.seen:
                self.problem = self.problem or f"page {index}: the chain of pages runs in a circle"
                return
            micro_manager = page.mm_metadata is not None
            yield page
            if page.missing:
                # The walk goes on, but the next one has to look at this page again.
                self.problem = self.problem or f"page {index}: {page.missing}"
            if not self.problem:
                self.cursor.seen.add(page.ifd)
                self.cursor.last_ifd, self.cursor.last_index = page.ifd, index
            offset, index = page.next_ifd, index + 1

    def _unpack(self, code: str, data: bytes) -> int:
        return int(struct.unpack(self.byteorder + code, data)[0])

    def _span(self, offset: int, count: int, what: str) -> bytes:
        if offset <= 0 or offset + count > self._size:
            raise MissingBytesError(f"{what} lies beyond the end of the file")
        data = read_at(self._file, offset, count)
        if len(data) < count:
            raise MissingBytesError(f"{what} lies beyond the end of the file")
        return data

    def _is_blank(self, offset: int) -> bool:
        return 0 < offset < self._size and not any(read_at(self._file, offset, 8))

    def _directory(self, offset: int) -> tuple[bytes, int]:
        width = struct.calcsize(self._count_format)
        count = self._unpack(self._count_format, self._span(offset, width, "its directory"))
        if not 0 < count <= _MAX_ENTRIES:
            raise MissingBytesError("its directory is not written")
        tail = struct.calcsize(self._offset_format)
        body = self._span(offset + width, count * self._entry_size + tail, "its directory")
        return body[:-tail], self._unpack(self._offset_format, body[-tail:])

    def _next_of(self, offset: int) -> int:
        try:
            return self._directory(offset)[1]
        except MissingBytesError:
            return 0

    def _entries(self, body: bytes) -> dict[int, list[_Entry]]:
        value_size = struct.calcsize(self._offset_format)
        entries: dict[int, list[_Entry]] = {}
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
        return self._span(entry.offset, entry.nbytes, what)

    def _integers(
        self, entries: dict[int, list[_Entry]], code: int, default: int | None = None
    ) -> tuple[int, ...]:
        if code not in entries:
            if default is None:
                raise MissingBytesError(f"its directory has no tag {code}")
            return (default,)
        entry = entries[code][0]
        if entry.kind not in _INTEGER_CODES or entry.count == 0:
            raise MissingBytesError(f"tag {code} of its directory is not written")
        data = self._bytes(entry, f"tag {code}")
        return struct.unpack(f"{self.byteorder}{entry.count}{_INTEGER_CODES[entry.kind]}", data)

    def _texts(self, entries: dict[int, list[_Entry]], code: int) -> tuple[str, ...]:
        return tuple(
            self._bytes(entry, f"tag {code}").rstrip(b"\0").decode("utf-8", "replace")
            for entry in entries.get(code, [])
        )

    def _ratio(self, entries: dict[int, list[_Entry]], code: int) -> float | None:
        if code not in entries or entries[code][0].kind != 5:
            return None
        above, below = struct.unpack(self.byteorder + "II", self._bytes(entries[code][0], f"tag {code}")[:8])
        return above / below if below else None

    def _page(self, index: int, offset: int) -> TiffPage:
        body, next_ifd = self._directory(offset)
        tags = self._entries(body)
        width, height = self._integers(tags, _WIDTH)[0], self._integers(tags, _HEIGHT)[0]
        if not width or not height:
            raise MissingBytesError("its size is not written")
        bits = self._integers(tags, _BITS, 1)[0]
        compression = self._integers(tags, _COMPRESSION, 1)[0]
        samples = self._integers(tags, _SAMPLES, 1)[0]
        kind = _KINDS.get(self._integers(tags, _SAMPLE_FORMAT, 1)[0], "unknown")
        raw, missing = self._pixels(tags, width * height * samples * bits // 8, compression)
        plain = self._integers(tags, _PREDICTOR, 1)[0] == 1 and self._integers(tags, _FILL_ORDER, 1)[0] == 1
        mm_metadata = self._mm_metadata(tags)
        if mm_metadata is not None and not missing and not self._mm_written(mm_metadata):
            missing = "Micro-Manager's metadata, which follow the pixels, are missing"
        return TiffPage(
            index=index,
            ifd=offset,
            next_ifd=next_ifd,
            height=height,
            width=width,
            dtype="bool" if bits == 1 else f"{kind}{bits}",
            byteorder=self.byteorder,
            samples=samples,
            compression=compression,
            raw=raw if plain else None,
            missing=missing,
            reduced=bool(self._integers(tags, _SUBFILE, 0)[0] & 1),
            descriptions=self._texts(tags, _DESCRIPTION) if index == 0 else (),
            software="".join(self._texts(tags, _SOFTWARE)) if index == 0 else "",
            x_resolution=self._ratio(tags, _X_RESOLUTION) if index == 0 else None,
            resolution_unit=self._integers(tags, _RESOLUTION_UNIT, 2)[0],
            mm_metadata=mm_metadata,
        )

    def _pixels(
        self, tags: dict[int, list[_Entry]], expected: int, compression: int
    ) -> tuple[int | None, str]:
        tiled = _TILE_OFFSETS in tags
        offsets = self._integers(tags, _TILE_OFFSETS if tiled else _STRIP_OFFSETS)
        plain = compression == 1
        single = expected if plain and len(offsets) == 1 else None
        counts = self._integers(tags, _TILE_COUNTS if tiled else _STRIP_COUNTS, single)
        if len(offsets) != len(counts) or not all(offsets) or not all(counts):
            return None, "its pixels are not written"
        end = max(offset + count for offset, count in zip(offsets, counts, strict=True))
        if end > self._size:
            return None, f"{end - self._size} bytes of its pixels are missing"
        if plain and sum(counts) < expected:
            return None, f"{expected - sum(counts)} bytes of its pixels are missing"
        run = all(a + n == b for a, n, b in zip(offsets, counts, offsets[1:], strict=False))
        return (offsets[0] if plain and run and not tiled else None), ""

    def _mm_metadata(self, tags: dict[int, list[_Entry]]) -> tuple[int, int] | None:
        if _MM_METADATA not in tags or tags[_MM_METADATA][0].offset is None:
            return None
        entry = tags[_MM_METADATA][0]
        return entry.offset or 0, entry.nbytes

    def _mm_written(self, place: tuple[int, int]) -> bool:
        # Micro-Manager preallocates the file and writes this block last: whole JSON here proves the pixels.
        try:
            json.loads(self._span(*place, "Micro-Manager's metadata").rstrip(b"\0"))
        except (MissingBytesError, ValueError):
            return False
        return True
