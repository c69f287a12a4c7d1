"""A queue bounded in bytes: what is in it, and what is being worked on, counts until it is released."""

import threading
from collections import deque
from typing import Generic, Protocol, TypeVar

__all__ = ["ByteRing", "Sized"]


class Sized(Protocol):
    """Something with a size."""

    @property
    def nbytes(self) -> int:
        """Size in bytes."""


T = TypeVar("T", bound=Sized)


class ByteRing(Generic[T]):
    """First-in-first-out queue whose bound is bytes, not items.

    An item counts from `offer` until `release`, so the bound holds for what is queued *and* what the writers
    still hold in their hands. An item larger than the whole bound is let in when nothing else is there.

    Parameters
    ----------
    capacity
        Bound in bytes.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._bytes = 0
        self._peak = 0
        self._closed = False
        self._owed = 0
        self._changed = threading.Condition()

    @property
    def nbytes(self) -> int:
        """Bytes queued or being worked on."""
        return self._bytes

    @property
    def peak_nbytes(self) -> int:
        """Largest value that `nbytes` has had."""
        return self._peak

    @property
    def capacity(self) -> int:
        """Bound in bytes."""
        return self._capacity

    def __len__(self) -> int:
        return len(self._items)

    def offer(self, item: T, *, timeout_s: float = 0.0, again: bool = False) -> bool:
        """Put `item` in if there is room within `timeout_s` seconds; False if there was none.

        Parameters
        ----------
        item
            What goes in.
        timeout_s
            Longest wait. Who waits takes every byte the moment it is free.
        again
            Who is refused comes again and does not wait here: those who do leave room for it meanwhile.
        """
        with self._changed:
            spare = self._spare if timeout_s > 0 else int
            if (
                not self._changed.wait_for(lambda: self._closed or self._fits(item, spare()), timeout_s)
                or self._closed
            ):
                self._owed = item.nbytes if again else self._owed
                return False
            self._owed = 0 if again else self._owed
            self._items.append(item)
            self._bytes += item.nbytes
            self._peak = max(self._peak, self._bytes)
            self._changed.notify_all()
            return True

    def take(self, *, timeout_s: float) -> T | None:
        """Oldest item, or None if none came within `timeout_s` seconds. It counts until `release`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._items), timeout_s)
            return self._items.popleft() if self._items else None

    def release(self, nbytes: int) -> None:
        """Give back the bytes of an item that was taken."""
        with self._changed:
            self._bytes -= nbytes
            self._changed.notify_all()

    def close(self) -> None:
        """Let nothing more in and wake everyone who waits; what is in can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _fits(self, item: T, spare: int) -> bool:
        return self._bytes == 0 or self._bytes + item.nbytes + spare <= self._capacity

    def _spare(self) -> int:
        """Room that those who wait leave for who was refused and comes again."""
        return self._owed
