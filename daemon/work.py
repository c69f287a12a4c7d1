"""Which frame is denoised next: the newest first, and when there is no new one, the oldest that is still missing.

The ledger alone knows what is missing ("raw without denoised"); announcements only make the newest frames known
sooner, and one that gets lost costs nothing but time.
"""

import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

from quietscope.adapters.frame import FrameKey
from quietscope.daemon.ledger_reader import PendingFrame

__all__ = ["Work", "WorkQueue"]

_BATCH = 128
_RECHECK_S = 1.0

Fetch = Callable[[tuple[int, ...], int, int], list[PendingFrame]]


@dataclass(frozen=True, slots=True)
class Work:
    """A frame to be denoised.

    Parameters
    ----------
    key, received_ns
        The frame.
    newest
        Whether it was the newest of its channel when it was taken (else it is back-filled).
    """

    key: FrameKey
    received_ns: int
    newest: bool


class WorkQueue:
    """Orders the work of the processor.

    Parameters
    ----------
    fetch
        ``fetch(channels, after, limit)`` gives pending frames from the ledger, oldest first, with id above `after`.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._newest: dict[int, PendingFrame] = {}
        self._served: dict[int, int] = {}
        self._turn = 0
        self._taken: set[FrameKey] = set()
        self._missing: deque[PendingFrame] = deque()
        self._settled: set[FrameKey] = set()
        self._missing_of: frozenset[int] = frozenset()
        self._cursor = 0
        self._checked_at = 0.0

    def announce(self, key: FrameKey, received_ns: int) -> None:
        """A raw frame is in the store."""
        self._newest[key.c] = PendingFrame(0, key, received_ns)

    def recall(self, key: FrameKey, received_ns: int) -> None:
        """A frame that was shown already is to be shown once more, unless a newer one waits."""
        self._newest.setdefault(key.c, PendingFrame(0, key, received_ns))

    def settle(self, key: FrameKey) -> None:
        """The ledger knows what became of a frame that was taken."""
        self._taken.discard(key)
        if any(frame.key == key for frame in self._missing):
            # The batch in hand was read before the ledger knew.
            self._settled.add(key)

    def newest(self, channels: Collection[int]) -> Work | None:
        """Newest frame that has not been taken; the channel that was served longest ago goes first."""
        waiting = [c for c in self._newest if c in channels]
        if not waiting:
            return None
        channel = min(waiting, key=lambda c: self._served.get(c, 0))
        self._turn += 1
        self._served[channel] = self._turn
        frame = self._newest.pop(channel)
        if frame.key in self._taken:
            return self.newest(channels)
        self._taken.add(frame.key)
        return Work(frame.key, frame.received_ns, newest=True)

    def oldest(self, channels: Collection[int]) -> Work | None:
        """Oldest frame of `channels` that is still missing."""
        wanted = frozenset(channels)
        if wanted != self._missing_of:
            self._missing.clear()
            self._missing_of, self._cursor, self._checked_at = wanted, 0, 0.0
        while True:
            while self._missing:
                frame = self._missing.popleft()
                if frame.key not in self._taken and frame.key not in self._settled:
                    self._taken.add(frame.key)
                    return Work(frame.key, frame.received_ns, newest=False)
            if not self._refill(wanted):
                return None

    def _refill(self, channels: frozenset[int]) -> bool:
        now = time.monotonic()
        if not channels or (self._cursor == 0 and now - self._checked_at < _RECHECK_S):
            return False
        if self._cursor == 0:
            self._checked_at = now
        found = self._fetch(tuple(sorted(channels)), self._cursor, _BATCH)
        self._settled.clear()
        self._missing.extend(frame for frame in found if frame.key not in self._taken)
        # A full batch means that there is more behind it; otherwise the next look starts from the beginning.
        self._cursor = found[-1].id if len(found) == _BATCH else 0
        return bool(found)
