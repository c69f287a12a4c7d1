"""Frames that neither the recorder nor the memory can take for the moment: they wait on disk, in the run's folder.

The file has the form of the recorder's own spool (`quietscope.adapters.spool_record`), so that ``quietscope resume``
finds the frames there if the run dies.
"""

import tempfile
import time
from collections import deque
from io import FileIO
from pathlib import Path

from quietscope.adapters.micromanager.messages import Message
from quietscope.adapters.spool_record import from_record, to_record

__all__ = ["Spill"]

_FIELDS = ("key", "received_ns", "exposure_ms", "metadata")


class Spill:
    """First-in-first-out queue of frames on disk. To be used from one thread.

    Parameters
    ----------
    folder
        The run folder; None, where it is not known, takes the system's folder for temporary files.
    capacity
        Bound of the file, bytes.
    """

    def __init__(self, folder: Path | None, capacity: int) -> None:
        self.path = (folder or Path(tempfile.gettempdir())) / f"spool-{time.time_ns()}.bin"
        self._capacity = capacity
        self._file: FileIO | None = None
        self._index: deque[tuple[int, int]] = deque()
        self._end = 0
        self._kept: set[tuple[int, ...]] = set()
        self.total = 0

    def __len__(self) -> int:
        return len(self._index)

    @property
    def held(self) -> int:
        """Frames in the file, those included that were taken out since it was last empty."""
        return len(self._kept)

    def append(self, frame: Message) -> bool:
        """Write a frame to the end; False if the bound is reached or the disk refuses."""
        key = tuple(frame.fields["key"])
        if key in self._kept:  # taken out, and not known to be stored: it is still in the file
            return True
        assert frame.pixels is not None  # only frames come here
        record = to_record({name: frame.fields[name] for name in _FIELDS}, frame.pixels)
        if self._end + len(record) > self._capacity:
            return False
        try:
            if self._file is None:
                self._file = FileIO(self.path, "x+")
            self._file.seek(self._end)
            view = memoryview(record)
            while view:
                view = view[self._file.write(view) or 0 :]
        except OSError:
            if self._file is not None:
                self._file.truncate(self._end)
            return False
        self._index.append((self._end, len(record)))
        self._end += len(record)
        self._kept.add(key)
        self.total += 1
        return True

    def pop(self) -> Message | None:
        """Oldest frame; None if there is none."""
        if not self._index or self._file is None:
            return None
        start, length = self._index.popleft()
        record = bytearray(length)
        view = memoryview(record)
        self._file.seek(start)
        while view:
            count = self._file.readinto(view)
            if not count:
                msg = f"{self.path} ends inside a frame; was it changed by hand?"
                raise OSError(msg)
            view = view[count:]
        fields, pixels = from_record(record)
        if not self._index:
            self._file.truncate(0)
            self._end = 0
            self._kept.clear()
        return Message("frame", {"kind": "raw", **{name: fields[name] for name in _FIELDS}}, pixels)

    def close(self, *, keep: bool) -> None:
        """Close the file; it stays if it is to be kept and holds frames."""
        if self._file is not None:
            self._file.close()
            self._file = None
            if not keep or not self._end:
                self.path.unlink(missing_ok=True)
