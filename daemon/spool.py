"""Where frames wait on disk when the memory is full: appended to one file, taken out oldest first.

A file left by a crash can be read again (`quietscope.adapters.spool_record`). Space is given back when
the spool has been emptied.
"""

import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from quietscope.adapters.frame import Frame, FrameKey
from quietscope.adapters.spool_record import from_record, read_records, to_record
from quietscope.config import StoreError
from quietscope.config.faultpoints import reach

__all__ = ["Spool", "read_spool"]


class Spool:
    """First-in-first-out queue of frames on disk, bounded in bytes.

    Parameters
    ----------
    path
        File to spool into; made with the first frame, removed when the spool is closed empty.
    capacity
        Bound in bytes.
    """

    def __init__(self, path: Path, capacity: int) -> None:
        self._path = path
        self._capacity = capacity
        self._lock = threading.Lock()
        self._index: deque[tuple[int, int]] = deque()
        self._end = 0
        self._total = 0
        self._in_hand = 0
        self._fd: int | None = None

    def __len__(self) -> int:
        return len(self._index)

    @property
    def total(self) -> int:
        """Number of frames that ever went through the spool."""
        return self._total

    def append(self, frame: Frame) -> None:
        """Write a frame to the end.

        Raises
        ------
        quietscope.config.StoreError
            If the bound is reached or the disk refuses.
        """
        record = to_record(
            {
                "key": list(frame.key),
                "received_ns": frame.received_ns,
                "exposure_ms": frame.exposure_ms,
                "metadata": dict(frame.metadata),
            },
            frame.pixels,
        )
        with self._lock:
            if self._end + len(record) > self._capacity:
                msg = (
                    f"the spool {self._path} holds {self._end / 1e6:.0f} MB of {self._capacity / 1e6:.0f} MB;"
                    " raise recorder.spool_mb, or use a faster disk or a slower camera"
                )
                raise StoreError(msg)
            try:
                reach("spool.write")
                if self._fd is None:
                    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
                    self._fd = os.open(self._path, flags, 0o644)
                view = memoryview(record)
                while view:
                    view = view[os.write(self._fd, view) :]
            except OSError as error:
                if self._fd is not None:
                    os.ftruncate(self._fd, self._end)
                msg = f"cannot spool to {self._path}: {error.strerror}; free some disk space"
                raise StoreError(msg) from error
            self._index.append((self._end, len(record)))
            self._end += len(record)
            self._total += 1

    def pop(self) -> Frame | None:
        """Oldest frame, or None if the spool is empty.

        Raises
        ------
        quietscope.config.StoreError
            If it cannot be read back.
        """
        with self._lock:
            if not self._index or self._fd is None:
                return None
            start, length = self._index.popleft()
            self._in_hand += 1  # also if it cannot be read: then the file stays, for `resume`
            record = self._read(self._fd, start, length)
        return _frame(*from_record(record))

    def _read(self, fd: int, start: int, length: int) -> bytearray:
        record = bytearray()
        piece = b""
        try:
            reach("spool.read")
            os.lseek(fd, start, os.SEEK_SET)
            while len(record) < length and (piece := os.read(fd, length - len(record))):
                record += piece
        except OSError as error:
            msg = f"cannot read the spool {self._path}: {error.strerror}; check the disk"
            raise StoreError(msg) from error
        if len(record) < length:
            msg = f"the spool {self._path} ends inside the frame at byte {start}; was it changed by hand?"
            raise StoreError(msg)
        return record

    def release(self) -> None:
        """Say that a frame that was taken out is safe; the space is given back when all are."""
        with self._lock:
            self._in_hand -= 1
            if not self._index and not self._in_hand and self._fd is not None:
                os.ftruncate(self._fd, 0)
                self._end = 0

    def close(self) -> None:
        """Close the file; an empty one is removed."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None
                if not self._index and not self._in_hand:
                    self._path.unlink(missing_ok=True)


def read_spool(path: Path) -> Iterator[Frame]:
    """Frames of a spool that a crash left; ends where the last record is torn.

    Parameters
    ----------
    path
        The file.
    """
    with path.open("rb") as file:
        for fields, pixels in read_records(file):
            yield _frame(fields, pixels)


def _frame(fields: Mapping[str, Any], pixels: NDArray[Any]) -> Frame:
    key = FrameKey(*fields["key"])
    return Frame(pixels, key, fields["received_ns"], fields["exposure_ms"], fields["metadata"])
