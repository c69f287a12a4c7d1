"""Which frame is denoised next: what has just come first, and when nothing has, the oldest that is still missing.

While the processor keeps up, frames are shown in the order in which they came, each of them. Once one has waited for
longer than `_IN_ORDER_NS`, the newest of its channel goes first and those before it are filled in later: none waits
longer than that for its turn. (The recorder announces frames in groups, whose members come at the same moment.)

The ledger alone knows what is missing ("raw without denoised"); announcements only make the newest frames known
sooner, and one that gets lost costs nothing but time.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

from quietscope.adapters.frame import FrameKey
from quietscope.daemon.ledger_facts import PendingFrame

__all__ = ["Work", "WorkQueue"]

_BATCH = 128
_RECHECK_S = 1.0
_IN_ORDER_NS = 100_000_000
_MOST_FRESH = 256

Fetch = Callable[[tuple[int, ...], int, int], list[PendingFrame]]


@dataclass(frozen=True, slots=True)
class Work:
    """A frame to be denoised.

    Parameters
    ----------
    key, received_ns
        The frame.
    announced_ns
        When it was announced, nanoseconds since the epoch, if it is taken as it came; 0 if it is back-filled.
    """

    key: FrameKey
    received_ns: int
    announced_ns: int = 0

    @property
    def fresh(self) -> bool:
        """Whether it is taken as it came, hence shown; else it is back-filled."""
        return self.announced_ns > 0


class WorkQueue:
    """Orders the work of the processor.

    Parameters
    ----------
    fetch
        ``fetch(channels, after, limit)`` gives pending frames from the ledger, oldest first, with id above `after`.
    clock
        Nanoseconds since the epoch.
    """

    def __init__(self, fetch: Fetch, clock: Callable[[], int] = time.time_ns) -> None:
        self._fetch = fetch
        self._clock = clock
        self._fresh: dict[int, deque[Work]] = defaultdict(lambda: deque(maxlen=_MOST_FRESH))
        self._served: dict[int, int] = {}
        self._turn = 0
        self._taken: set[FrameKey] = set()
        self._missing: deque[PendingFrame] = deque()
        self._settled: set[FrameKey] = set()
        self._missing_of: frozenset[int] = frozenset()
        self._cursor = 0
        self._checked_at = 0.0

    def announce(self, key: FrameKey, received_ns: int, announced_ns: int) -> None:
        """A raw frame is in the store, and has waited since then, heard or not (nanoseconds since the epoch)."""
        fresh = self._fresh[key.c]
        if all(waiting.key != key for waiting in fresh):
            fresh.append(Work(key, received_ns, announced_ns))

    def recall(self, key: FrameKey, received_ns: int) -> None:
        """A frame that came earlier is to be shown now, unless a newer one waits."""
        if not self._fresh[key.c]:
            self.announce(key, received_ns, self._clock())

    def waits(self, channels: Collection[int]) -> bool:
        """Whether a new frame of one of `channels` is there."""
        return any(self._fresh[channel] for channel in channels)

    def settle(self, key: FrameKey) -> None:
        """The ledger knows what became of a frame that was taken."""
        self._taken.discard(key)
        if any(frame.key == key for frame in self._missing):
            # The batch in hand was read before the ledger knew.
            self._settled.add(key)

    def fresh(self, channels: Collection[int]) -> Work | None:
        """Frame to be shown next, not taken yet; the channel that was served longest ago goes first."""
        while waiting := [c for c, frames in self._fresh.items() if frames and c in channels]:
            channel = min(waiting, key=lambda c: self._served.get(c, 0))
            self._turn += 1
            self._served[channel] = self._turn
            work = self._next(self._fresh[channel])
            if work.key not in self._taken:
                self._taken.add(work.key)
                return work
        return None

    def _next(self, fresh: deque[Work]) -> Work:
        """Take the oldest while it has not waited for too long, else the newest alone."""
        if self._clock() - fresh[0].announced_ns > _IN_ORDER_NS:
            newest = fresh.pop()
            fresh.clear()
            return newest
        return fresh.popleft()

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
                    return Work(frame.key, frame.received_ns)
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
