"""Keeping frames whose run has died, in the form in which the recorder spools frames to disk."""

import json
import struct
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from quietscope.adapters.micromanager.messages import Message

__all__ = ["rescue"]

_HEAD = struct.Struct("<4sI")
_MAGIC = b"QSPL"


def rescue(root: Path, frames: Iterable[Message]) -> int:
    """Write frames into a run folder, where ``quietscope resume`` takes them from.

    Parameters
    ----------
    root
        The run folder.
    frames
        Messages of raw frames. One that the run has stored after all does no harm.

    Returns
    -------
    int
        How many could be written; a full disk takes what it can.
    """
    count = 0
    path = root / f"spool-{time.time_ns()}.bin"
    try:
        with path.open("xb") as file:
            for frame in frames:
                pixels = np.ascontiguousarray(frame.pixels)
                fields = frame.fields
                header = {name: fields[name] for name in ("key", "received_ns", "exposure_ms", "metadata")}
                header |= {"shape": list(pixels.shape), "dtype": pixels.dtype.str}
                text = json.dumps(header).encode()
                file.write(_HEAD.pack(_MAGIC, len(text)) + text)
                file.write(pixels.data.cast("B"))
                file.flush()
                count += 1
    except OSError:
        if not count:
            path.unlink(missing_ok=True)
    return count
