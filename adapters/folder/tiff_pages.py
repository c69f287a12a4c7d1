"""Walks the chain of image file directories (IFDs) of a TIFF that may still be growing.

The *only* module that reads the structure of a TIFF file. It answers which pages are there with all their
pixels, from the file's own tables: sizes and modification times say nothing while a file is written, and
readers made for finished files return short stacks of truncated files without a word.

Sources: TIFF 6.0 (Adobe, 1992), TIFF specification supplement for BigTIFF (Aware Systems).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from quietscope.adapters.folder.tiff_tags import Directory, MissingBytesError, TagReader
from quietscope.adapters.sharing import read_at

__all__ = ["TiffChain", "TiffCursor", "TiffPage"]

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _FILL_ORDER = 254, 256, 257, 258, 259, 266
_DESCRIPTION, _STRIP_OFFSETS, _SAMPLES, _STRIP_COUNTS, _X_RESOLUTION = 270, 273, 277, 279, 282
_INFO_COUNTS, _INFO = 50838, 50839
_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_LENGTH = 278, 322, 323
_PREDICTOR, _TILE_OFFSETS, _TILE_COUNTS, _SAMPLE_FORMAT, _MM_METADATA = 317, 324, 325, 339, 51123
_KINDS = {1: "uint", 2: "int", 3: "float", 4: "uint", 5: "complexint", 6: "complex"}


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
    x_resolution
        Pixels per unit; read for the first page only.
    mm_metadata
        Byte offset and length of the metadata in Micro-Manager's own stacks, which follow the pixels, else None.
    info
        Byte offset and length of ImageJ's info text, read for the first page only; Micro-Manager's separate image files
        have their metadata there.
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
    x_resolution: float | None
    mm_metadata: tuple[int, int] | None
    info: tuple[int, int] | None = None

    @property
    def said(self) -> tuple[int, int, str] | None:
        """Byte offset, length and encoding of what may be Micro-Manager's metadata, else None."""
        if self.mm_metadata is not None:
            return (*self.mm_metadata, "utf-8")
        if self.info is not None:
            return (*self.info, "utf-16-be" if self.byteorder == ">" else "utf-16-le")
        return None


@dataclass(slots=True)
class TiffCursor:
    """Where a walk stopped, so that the next one reads only what was appended since."""

    first_ifd: int
    last_ifd: int
    last_index: int
    micro_manager: bool = False
    seen: set[int] = field(default_factory=set)


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
        self._size = size
        head = read_at(file, 0, 16)
        if len(head) < 8 or not any(head[:8]):
            raise MissingBytesError("the header is missing")
        if head[:4] not in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}:
            raise ValueError("no TIFF header")
        self.byteorder: Literal["<", ">"] = "<" if head[:2] == b"II" else ">"
        big = head[:4] in {b"II+\0", b"MM\0+"}
        if len(head) < 16 and big:
            raise MissingBytesError("the header is missing")
        self._tags = TagReader(file, size, self.byteorder, big=big)
        self.first_ifd = self._tags.unpack_offset(head[8:16] if big else head[4:8])
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
        visited: set[int] = set()
        while offset or index == 0:
            try:
                page = self._page(index, offset)
            except MissingBytesError as error:
                self.open_end = self.cursor.micro_manager and not self.problem and self._tags.is_blank(offset)
                self.problem = self.problem or f"page {index}: {error}"
                return
            if page.ifd in self.cursor.seen or page.ifd in visited:
                self.problem = self.problem or f"page {index}: the chain of pages runs in a circle"
                return
            visited.add(page.ifd)
            yield page
            if page.missing:
                # The walk goes on, but the next one has to look at this page again.
                self.problem = self.problem or f"page {index}: {page.missing}"
            if not self.problem:
                self.cursor.seen.add(page.ifd)
                self.cursor.last_ifd, self.cursor.last_index = page.ifd, index
                self.cursor.micro_manager = page.mm_metadata is not None
            offset, index = page.next_ifd, index + 1

    def _next_of(self, offset: int) -> int:
        try:
            return self._tags.directory(offset)[1]
        except MissingBytesError:
            return 0

    def _page(self, index: int, offset: int) -> TiffPage:
        body, next_ifd = self._tags.directory(offset)
        tags = self._tags.entries(body)
        width, height = self._tags.integers(tags, _WIDTH)[0], self._tags.integers(tags, _HEIGHT)[0]
        if not width or not height:
            raise MissingBytesError("its size is not written")
        bits = self._tags.integers(tags, _BITS, 1)[0]
        compression = self._tags.integers(tags, _COMPRESSION, 1)[0]
        samples = self._tags.integers(tags, _SAMPLES, 1)[0]
        kind = _KINDS.get(self._tags.integers(tags, _SAMPLE_FORMAT, 1)[0], "unknown")
        raw, missing = self._pixels(tags, width * height * samples * bits // 8, compression)
        missing = missing or self._pieces_missing(tags, height, width)
        plain = (
            self._tags.integers(tags, _PREDICTOR, 1)[0] == 1
            and self._tags.integers(tags, _FILL_ORDER, 1)[0] == 1
        )
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
            reduced=bool(self._tags.integers(tags, _SUBFILE, 0)[0] & 1),
            descriptions=self._tags.texts(tags, _DESCRIPTION) if index == 0 else (),
            x_resolution=self._tags.ratio(tags, _X_RESOLUTION) if index == 0 else None,
            mm_metadata=mm_metadata,
            info=self._info(tags) if index == 0 else None,
        )

    def _pixels(self, tags: Directory, expected: int, compression: int) -> tuple[int | None, str]:
        tiled = _TILE_OFFSETS in tags
        offsets = self._tags.integers(tags, _TILE_OFFSETS if tiled else _STRIP_OFFSETS)
        plain = compression == 1
        single = expected if plain and len(offsets) == 1 else None
        counts = self._tags.integers(tags, _TILE_COUNTS if tiled else _STRIP_COUNTS, single)
        if len(offsets) != len(counts) or not all(offsets) or not all(counts):
            return None, "its pixels are not written"
        end = max(offset + count for offset, count in zip(offsets, counts, strict=True))
        if end > self._size:
            return None, f"{end - self._size} bytes of its pixels are missing"
        if plain and sum(counts) < expected:
            return None, f"{expected - sum(counts)} bytes of its pixels are missing"
        run = all(a + n == b for a, n, b in zip(offsets, counts, offsets[1:], strict=False))
        return (offsets[0] if plain and run and not tiled else None), ""

    def _info(self, tags: Directory) -> tuple[int, int] | None:
        """ImageJ keeps several things in one tag: a table of contents, then what it lists, the info text first."""
        start = tags[_INFO][0].offset if _INFO in tags else None
        if start is None or _INFO_COUNTS not in tags:
            return None
        counts = self._tags.integers(tags, _INFO_COUNTS)
        head = self._tags.span(start, counts[0], "ImageJ's table of contents")
        kinds = head[4:8] if self.byteorder == ">" else head[7:3:-1]
        return (start + counts[0], counts[1]) if kinds == b"info" and len(counts) > 1 else None

    def _pieces_missing(self, tags: Directory, height: int, width: int) -> str:
        """Fewer strips or tiles than the size needs: a decoder would fill the rest with zeros."""
        if _TILE_OFFSETS in tags:
            rows = self._tags.integers(tags, _TILE_LENGTH)[0]
            columns = self._tags.integers(tags, _TILE_WIDTH)[0]
            have = len(self._tags.integers(tags, _TILE_OFFSETS))
        else:
            rows, columns = self._tags.integers(tags, _ROWS_PER_STRIP, height)[0], width
            have = len(self._tags.integers(tags, _STRIP_OFFSETS))
        if not rows or not columns:
            return "the size of its strips or tiles is not written"
        needed = -(-height // rows) * -(-width // columns)
        return f"{needed - have} of its {needed} strips or tiles are missing" if have < needed else ""

    def _mm_metadata(self, tags: Directory) -> tuple[int, int] | None:
        if _MM_METADATA not in tags or tags[_MM_METADATA][0].offset is None:
            return None
        entry = tags[_MM_METADATA][0]
        return entry.offset or 0, entry.nbytes

    def _mm_written(self, place: tuple[int, int]) -> bool:
        # Micro-Manager preallocates the file and writes this block last: whole JSON here proves the pixels.
        try:
            json.loads(self._tags.span(*place, "Micro-Manager's metadata").rstrip(b"\0"))
        except (MissingBytesError, ValueError, RecursionError):
            return False
        return True
