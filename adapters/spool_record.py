"""Frames as they wait on disk: ``b"QSPL" + uint32 header length + JSON header + pixels``, one after the other.

The recorder's spool and the acquisition's side of Micro-Manager both write this form, so that ``quietscope resume``
can read what a crash left of either.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["from_record", "read_records", "to_record"]

_HEAD = struct.Struct("<4sI")
_MAGIC = b"QSPL"


def to_record(fields: Mapping[str, Any], pixels: NDArray[Any]) -> bytes:
    """Make the record of a frame.

    Parameters
    ----------
    fields
        What is known of it, JSON-able.
    pixels
        Any shape, real dtype.
    """
    form = {"shape": list(pixels.shape), "dtype": pixels.dtype.str}
    header = json.dumps({**fields, **form}).encode()
    return b"".join((_HEAD.pack(_MAGIC, len(header)), header, np.ascontiguousarray(pixels).tobytes()))


def from_record(record: bytearray) -> tuple[dict[str, Any], NDArray[Any]]:
    """Take a whole record apart.

    Returns
    -------
    fields : dict
        What is known of the frame, ``shape`` and ``dtype`` among it.
    pixels : numpy.ndarray
        Writable; they share the memory of `record`.
    """
    _, length = _HEAD.unpack_from(record)
    start = _HEAD.size + length
    fields: dict[str, Any] = json.loads(bytes(record[_HEAD.size : start]))
    return fields, np.frombuffer(record, fields["dtype"], offset=start).reshape(fields["shape"])


def read_records(file: BinaryIO) -> Iterator[tuple[dict[str, Any], NDArray[Any]]]:
    """Read records from a file that a crash left; ends where one is torn.

    Parameters
    ----------
    file
        At the start of a record.
    """
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        magic, length = _HEAD.unpack(head)
        header = file.read(length)
        if magic != _MAGIC or len(header) < length:
            return
        try:
            fields = json.loads(header)
            size = int(np.prod(fields["shape"])) * np.dtype(fields["dtype"]).itemsize
        except (ValueError, KeyError, TypeError):
            return
        pixels = file.read(size)
        if len(pixels) < size:
            return
        yield from_record(bytearray(head + header + pixels))
