"""Looks into a file and says which of its planes are complete, what each of them is, and what is still missing.

The *only* module that decides whether something may be read. A plane counts as complete when the file's own
structure proves it (TIFF: strips or tiles of the page inside the file; ImageJ and tifffile stacks, which have one
directory until they are closed: announced planes inside the file; PNG: all chunks with checksums up to IEND).
"""

import os
from dataclasses import dataclass, replace
from typing import BinaryIO

from quietscope.adapters.folder.ome_axes import describe_ome
from quietscope.adapters.folder.png import PNG_SIGNATURE, check_png
from quietscope.adapters.folder.stack_axes import (
    StackInfo,
    describe_imagej,
    describe_shaped,
    plain_stack,
    with_axes,
)
from quietscope.adapters.folder.tiff_pages import TiffChain, TiffCursor, TiffPage
from quietscope.adapters.folder.tiff_tags import MissingBytesError
from quietscope.adapters.frame import SUPPORTED_DTYPES
from quietscope.adapters.sharing import is_written, read_at

__all__ = ["Contents", "Plane", "Refusal", "look_into"]

_MAX_PLANE_BYTES = 1 << 32
_MAGIC = (PNG_SIGNATURE[:-1], b"II*", b"MM\0*", b"II+", b"MM\0+")


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane of a file, ready to be read.

    Parameters
    ----------
    index
        Place in the file, from 0.
    kind
        ``raw`` (plain pixels at `offset`), ``tiff`` (page whose directory lies at `offset`) or ``png``.
    offset
        Byte offset.
    height, width
        Size, pixels.
    dtype
        NumPy type string with byte order, for example ``>u2``.
    mm_metadata
        Byte offset, length and encoding of what may be Micro-Manager's metadata.
    """

    index: int
    kind: str
    offset: int
    height: int
    width: int
    dtype: str
    mm_metadata: tuple[int, int, str] | None = None

    @property
    def nbytes(self) -> int:
        """Size of the pixels in bytes."""
        return self.height * self.width * int(self.dtype[-1])


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a plane or file can never be taken.

    Parameters
    ----------
    index
        The plane, or None for the whole file.
    reason
        Key of the ``rejected`` table.
    detail
        What is wrong, and the mend.
    """

    index: int | None
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a look into a file found.

    Parameters
    ----------
    planes
        Complete planes and refused ones from the wanted index on, in order, up to the first incomplete one.
    problem
        What is missing; empty where everything announced is there.
    beyond
        Complete planes that should wait, behind an incomplete one or for a description that is not written yet;
        worth taking once the file has been given up or left alone.
    info
        Axes and metadata of the stack.
    cursor
        Where the next look may go on.
    """

    planes: tuple[Plane | Refusal, ...]
    problem: str
    beyond: tuple[Plane | Refusal, ...] = ()
    info: StackInfo | None = None
    cursor: TiffCursor | None = None


def look_into(
    file: BinaryIO,
    file_name: str,
    *,
    wanted: int = 0,
    cursor: TiffCursor | None = None,
    known: StackInfo | None = None,
    free_axis: str = "t",
    stack_axes: str | None = None,
) -> Contents:
    """Look into an open file.

    Parameters
    ----------
    file
        The file, open for reading without a buffer.
    file_name
        Its name without folders.
    wanted
        First plane of interest.
    cursor
        Where an earlier look into the same file stopped; needs `known` as well.
    known
        What the file said of its planes then.
    free_axis
        Axis that unnamed pages follow.
    stack_axes
        The user's axes for stacks.

    Raises
    ------
    OSError
        If reading fails.
    """
    size, head = os.fstat(file.fileno()).st_size, read_at(file, 0, 8)
    if len(head) < 8 or any(magic.startswith(head.rstrip(b"\0")) for magic in _MAGIC):
        return Contents((), f"the file has only {size} bytes" if size < 8 else "the header is missing")
    if head == PNG_SIGNATURE:
        return _png(file, size, wanted)
    if head[:2] in {b"II", b"MM"}:
        try:
            chain = TiffChain(file, size)
        except MissingBytesError as error:
            return Contents((), str(error))
        except ValueError:
            pass
        else:
            stack = _Stack(file, chain, size, file_name, free_axis=free_axis, stack_axes=stack_axes)
            resume = cursor is not None and known is not None and cursor.last_index < wanted
            return stack.contents(wanted, cursor if resume else None, known)
    detail = "it is neither TIFF nor PNG; save images as TIFF, OME-TIFF or PNG, or leave the file out with `include`"
    return Contents((Refusal(None, "unreadable", detail),), "")


def _unsupported(dtype: str) -> str:
    mend = "convert to uint16 or float32" if dtype != "bool" else "save the intensities, not a mask"
    return f"its pixels are {dtype}; quietscope takes {', '.join(SUPPORTED_DTYPES)}: {mend}"


def _png(file: BinaryIO, size: int, wanted: int) -> Contents:
    try:
        header = check_png(file, size)
    except MissingBytesError as error:
        return Contents((), str(error))
    if wanted > 0:
        return Contents((), "", info=plain_stack())
    if header.colour != "grey":
        detail = f"it is a PNG with colour type {header.colour}; save each channel as a grey-scale image"
        return Contents((Refusal(0, "unsupported", detail),), "")
    if header.bits not in {8, 16}:
        return Contents((Refusal(0, "dtype", _unsupported(f"uint{header.bits}")),), "")
    plane = Plane(0, "png", 0, header.height, header.width, "|u1" if header.bits == 8 else "=u2")
    return Contents((plane,), "", info=plain_stack())


class _Stack:
    """A look into one TIFF."""

    def __init__(
        self,
        file: BinaryIO,
        chain: TiffChain,
        size: int,
        file_name: str,
        *,
        free_axis: str,
        stack_axes: str | None,
    ) -> None:
        self._file = file
        self._chain = chain
        self._size = size
        self._file_name = file_name
        self._free_axis = free_axis
        self._stack_axes = stack_axes

    def contents(self, wanted: int, cursor: TiffCursor | None, known: StackInfo | None) -> Contents:
        info = known if cursor is not None else None
        first: TiffPage | None = None
        ready: list[Plane | Refusal] = []
        beyond: list[Plane | Refusal] = []
        stuck, hole = False, ""
        count = 0 if cursor is None else cursor.last_index + 1
        for page in self._chain.pages(cursor):
            count = page.index + 1
            if page.index == 0:
                first, info = page, self._describe(page)
            stuck = stuck or bool(page.missing)
            if page.missing or page.index < wanted:
                continue
            found = self._plane(page)
            if not stuck and not self._is_written(found):
                stuck, hole = True, f"the pixels of page {page.index} are not written"
            if found is not None:
                (beyond if stuck else ready).append(found)
        problem = "" if self._chain.open_end else self._chain.problem or hole
        if info is not None:
            if first is not None and self._is_run(first, info, count):
                return self._run(first, info, wanted)
            if not problem and info.images is not None and count < info.images:
                problem = f"it announces {info.images} images, {count} are there"
            if info.provisional:
                held = tuple(found for found in ready if found.index != 0)
                return Contents(tuple(found for found in ready if found.index == 0), problem, held, info)
        return Contents(tuple(ready), problem, tuple(beyond), info, self._chain.cursor)

    def _describe(self, page: TiffPage) -> StackInfo:
        """Axes from the first page's description."""
        info = None
        for text in page.descriptions:
            info = info or describe_ome(text, self._file_name)
        for text in page.descriptions:
            info = info or describe_imagej(text, page.x_resolution, self._free_axis)
        for text in page.descriptions:
            info = info or describe_shaped(text, (page.height, page.width), self._free_axis)
        info = info or plain_stack(self._free_axis)
        if page.mm_metadata is not None:
            # Each page of Micro-Manager's own stacks says itself what it is, and the file is preallocated.
            return replace(info, images=None, contiguous=False)
        if page.compression != 1:
            info = replace(info, contiguous=False)
        if page.descriptions and not any(page.descriptions):
            # Writers leave room for OME-XML and fill it in when they close the file.
            info = replace(info, provisional=True)
        return with_axes(info, self._stack_axes) if self._stack_axes is not None else info

    def _is_run(self, first: TiffPage, info: StackInfo, count: int) -> bool:
        several = info.images is not None and info.images > 1
        return bool(several and info.contiguous and count == 1 and first.raw is not None)

    def _run(self, first: TiffPage, info: StackInfo, wanted: int) -> Contents:
        """Planes of a series that has one directory for all."""
        found = self._plane(first)
        if isinstance(found, Refusal) or found is None:
            return Contents((found,) if found is not None and wanted == 0 else (), "", info=info)
        there = min((self._size - found.offset) // found.nbytes, info.images or 1)
        planes = [
            replace(found, index=k, offset=found.offset + k * found.nbytes, mm_metadata=None)
            for k in range(wanted, there)
        ]
        problem = (
            f"it announces {info.images} images, {there} are there" if there < (info.images or 1) else ""
        )
        hole = next((k for k, plane in enumerate(planes) if not self._is_written(plane)), None)
        if hole is None:
            return Contents(tuple(planes), problem, info=info)
        problem = problem or f"the pixels of page {wanted + hole} are not written"
        return Contents(tuple(planes[:hole]), problem, tuple(planes[hole:]), info)

    def _is_written(self, found: Plane | Refusal | None) -> bool:
        return (
            not isinstance(found, Plane)
            or found.kind != "raw"
            or is_written(self._file, found.offset, found.nbytes)
        )

    def _plane(self, page: TiffPage) -> Plane | Refusal | None:
        if page.reduced:
            return None
        if page.samples > 1:
            detail = f"it has {page.samples} samples per pixel (RGB); save each channel as a grey-scale image"
            return Refusal(page.index, "unsupported", detail)
        if page.dtype not in SUPPORTED_DTYPES:
            return Refusal(page.index, "dtype", _unsupported(page.dtype))
        code = {"uint8": "u1", "uint16": "u2", "int16": "i2", "float32": "f4"}[page.dtype]
        kind, offset = ("raw", page.raw) if page.raw is not None else ("tiff", page.ifd)
        dtype = page.byteorder + code
        plane = Plane(page.index, kind, offset, page.height, page.width, dtype, page.said)
        if plane.nbytes > _MAX_PLANE_BYTES:
            return Refusal(page.index, "unsupported", f"it claims {page.height} x {page.width} pixels")
        return plane
