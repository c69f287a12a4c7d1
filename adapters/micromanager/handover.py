"""What the camera's thread and the sending thread share: a queue bounded in bytes whose ends never wait."""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quietscope.adapters.frame import Pixels

__all__ = ["Arrival", "HandOver", "Note", "Source"]

_OVERHEAD = 4096

Source = Mapping[str, Any] | tuple[Any, Mapping[str, Any]]
"""What says what a frame is: metadata of pycromanager, or event and metadata of pymmcore-plus."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A frame as it was handed over.

    Parameters
    ----------
    pixels
        Shape (Y, X), or (Y, X, 3) from a colour camera; nobody else changes them.
    arrival_ns
        Time of arrival, nanoseconds since the epoch.
    source
        What says what the frame is.
    colours
        Names of the colour planes in their order, of a colour camera.
    """

    pixels: Pixels
    arrival_ns: int
    source: Source
    colours: tuple[str, ...] = ("red", "green", "blue")

    @property
    def nbytes(self) -> int:
        """Bytes this counts for."""
        return int(self.pixels.nbytes) + _OVERHEAD


@dataclass(frozen=True, slots=True)
class Note:
    """Something that is no frame, in its place between the frames.

    Parameters
    ----------
    text
        Words for the ledger; empty says nothing.
    level
        ``info`` or ``warning``.
    begins
        Whether a new acquisition begins here.
    planned
        Its planned lengths by axis (``t``, ``c``, ``z``, ``p``).
    """

    text: str = ""
    level: str = "info"
    begins: bool = False
    planned: Mapping[str, int] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes this counts for."""
        return _OVERHEAD


class HandOver:
    """First-in-first-out queue, bounded in bytes.

    Parameters
    ----------
    capacity
        Bound in bytes.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[Arrival | Note] = deque()
        self._lock = threading.Lock()
        self._bytes = 0
        self._peak = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def peak_nbytes(self) -> int:
        """Most bytes that were ever in."""
        return self._peak

    @property
    def capacity(self) -> int:
        """Bound in bytes."""
        return self._capacity

    @property
    def is_filling(self) -> bool:
        """Whether more than a quarter is in use."""
        return self._bytes > self._capacity // 4

    def has_room(self, nbytes: int) -> bool:
        """Whether something of so many bytes would be let in now."""
        return self._bytes + nbytes <= self._capacity

    def offer(self, item: Arrival | Note) -> bool:
        """Put something in; False if there is no room."""
        with self._lock:
            if not self.has_room(item.nbytes):
                return False
            self._items.append(item)
            self._bytes += item.nbytes
            self._peak = max(self._peak, self._bytes)
            return True

    def take(self) -> Arrival | Note | None:
        """Take the oldest out; None if there is nothing."""
        with self._lock:
            if not self._items:
                return None
            item = self._items.popleft()
            self._bytes -= item.nbytes
            return item
