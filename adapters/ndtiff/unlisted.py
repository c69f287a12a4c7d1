"""Finds images that are in an NDTiff stack but not in its index yet, by the stack's own chain of directories.

Source: TIFF 6.0 (Adobe, 1992), section 2, and the NDTiff format description of NDTiffStorage: each image is a
directory, its pixels and its metadata (tag 51123), and the next directory follows at an even place.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from quietscope.adapters.foreign_json import parse_json
from quietscope.adapters.ndtiff.index import IndexEntry
from quietscope.adapters.ndtiff.stacks import first_stack, next_stack
from quietscope.adapters.sharing import open_shared, read_at

__all__ = ["unlisted_after"]

_WIDTH, _HEIGHT, _OFFSET, _COUNT, _METADATA = 256, 257, 273, 279, 51123
_MOST_TAGS = 64
_MOST_METADATA = 1 << 24
_MOST = 256


def unlisted_after(folder: Path, last: IndexEntry | None) -> list[IndexEntry]:
    """Whole images behind the last known one, in order, at most 256.

    Parameters
    ----------
    folder
        The data set's folder.
    last
        The last image known, or None to begin with the first stack.

    Returns
    -------
    list of IndexEntry
        Ends with the first image that is not whole, or whose metadata do not give its axes as the index would.

    Raises
    ------
    OSError
        If a stack cannot be read.
    """
    found: list[IndexEntry] = []
    name = first_stack(folder) if last is None else last.file
    start = None if last is None else last.metadata_offset + last.metadata_length
    while name is not None and (folder / name).is_file() and len(found) < _MOST:
        with open_shared(folder / name) as file:
            found.extend(_images(file, name, start, last, _MOST - len(found)))
        last = found[-1] if found else last
        name, start = next_stack(name), None
    return found


def _images(
    file: BinaryIO, name: str, start: int | None, last: IndexEntry | None, most: int
) -> Iterator[IndexEntry]:
    if start is None:
        head = read_at(file, 0, 8)
        if len(head) < 8 or head[:2] != b"II":
            return
        (start,) = struct.unpack_from("<I", head, 4)
    for _ in range(most):
        entry = _image(file, name, start + start % 2)
        if entry is None or (last is not None and not _is_alike(entry, last)):
            return
        yield entry
        last, start = entry, entry.metadata_offset + entry.metadata_length


def _is_alike(entry: IndexEntry, last: IndexEntry) -> bool:
    """Whether metadata speak of axes as the index does; some writers have names in one and numbers in the other."""
    return {name: type(value) for name, value in entry.axes.items()} == {
        name: type(value) for name, value in last.axes.items()
    }


def _image(file: BinaryIO, name: str, directory: int) -> IndexEntry | None:
    """The image whose directory is at this place; None if it is not whole."""
    tags = _tags(file, directory)
    if not {_WIDTH, _HEIGHT, _OFFSET, _COUNT, _METADATA} <= set(tags):
        return None
    width, height, offset, nbytes = (tags[code][1] for code in (_WIDTH, _HEIGHT, _OFFSET, _COUNT))
    length, place = tags[_METADATA]
    if not directory < offset < place:
        return None  # a chain that leads back would be followed for ever
    # The Python writer gives 16 bit in the tag for every image: only the number of bytes tells.
    sizes = {width * height: 0, 2 * width * height: 1, 3 * width * height: 2}
    if nbytes not in sizes or not width * height * offset or not 4 < length <= _MOST_METADATA:
        return None
    try:
        said = parse_json(read_at(file, place, length))
    except ValueError:
        return None
    axes = said.get("Axes") if isinstance(said, dict) else None
    if not isinstance(axes, dict) or not all(isinstance(value, int | str) for value in axes.values()):
        return None
    return IndexEntry(axes, name, offset, height, width, sizes[nbytes], place, length)


def _tags(file: BinaryIO, directory: int) -> dict[int, tuple[int, int]]:
    """Count and value of each tag; empty where there is no whole directory."""
    head = read_at(file, directory, 2) if directory else b""
    count = struct.unpack("<H", head)[0] if len(head) == 2 else 0
    body = read_at(file, directory + 2, count * 12) if 0 < count <= _MOST_TAGS else b""
    if len(body) < count * 12:
        return {}
    return {code: (size, value) for code, _, size, value in struct.iter_unpack("<HHII", body)}
