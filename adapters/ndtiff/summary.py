"""Reads the summary metadata at the head of an NDTiff stack: pixel size, channel names, planned lengths.

Source: the NDTiff format description of NDTiffStorage: after the TIFF header (8 bytes) come an identifier and version
numbers (8 bytes in version 2, 12 since), the number 2355492, the length of a JSON text, and the text.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from quietscope.adapters.foreign_json import parse_json
from quietscope.adapters.mm_metadata import MMFacts
from quietscope.adapters.sharing import read_at

__all__ = ["Summary", "read_summary"]

_MARK = 2355492
_MOST_BYTES = 1 << 24
_LENGTHS = {"z": ("Slices", "z"), "c": ("Channels", "channel")}


@dataclass(frozen=True, slots=True)
class Summary:
    """What the head of a stack says of all its images.

    Parameters
    ----------
    channels
        Channel names by number.
    pixel_size_um
        Pixel size, micrometres, or None.
    planned
        Lengths of the axes ``z`` and ``c`` that the acquisition will have, where known.
    """

    channels: tuple[str, ...] = ()
    pixel_size_um: float | None = None
    planned: Mapping[str, int] = field(default_factory=dict)


def read_summary(file: BinaryIO) -> Summary:
    """Read the summary metadata; empty where there are none.

    Parameters
    ----------
    file
        A stack, open for reading without a buffer.

    Raises
    ------
    OSError
        If reading fails.
    """
    head = read_at(file, 0, 28)
    for start in (16, 20):
        if len(head) < start + 8:
            continue
        mark, length = struct.unpack_from("<II", head, start)
        if mark == _MARK and length < _MOST_BYTES:
            try:
                said = parse_json(read_at(file, start + 8, length))
            except ValueError:
                return Summary()
            return _summary(said) if isinstance(said, dict) else Summary()
    return Summary()


def _summary(said: dict[str, Any]) -> Summary:
    names = said.get("ChNames")
    intended = said.get("IntendedDimensions")
    lengths = {**said, **(intended if isinstance(intended, dict) else {})}
    planned = {}
    for axis, keys in _LENGTHS.items():
        found = [lengths[key] for key in keys if isinstance(lengths.get(key), int)]
        if found and 1 < max(found) < 10_000:
            planned[axis] = max(found)
    return Summary(
        tuple(str(name) for name in names) if isinstance(names, list) else (),
        MMFacts.of(said).pixel_size_um,
        planned,
    )
