"""Threads for the network: while it computes a frame, those before are shown, judged and stored."""

import contextlib
import itertools
import math
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass

from quietscope.adapters.frame import Pixels
from quietscope.daemon.models_live import LiveModel
from quietscope.daemon.work import Work

__all__ = ["Denoised", "NetworkThreads"]

_AHEAD_S = 0.02
"""Time to choose and to read the next frame, seconds; it is chosen no sooner, since a newer one may come."""


@dataclass(frozen=True, slots=True)
class Denoised:
    """What came of one frame.

    Parameters
    ----------
    work, raw, model
        The frame, its pixels, and what denoised it.
    pixels
        The denoised pixels in raw's dtype; None if the network failed.
    error
        Why it failed; empty if it did not.
    seconds
        How long it took.
    """

    work: Work
    raw: Pixels
    model: LiveModel
    pixels: Pixels | None
    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class _Started:
    result: Future[Denoised]
    due: float


class NetworkThreads:
    """Denoises frames, one at a time on all cores or several on a share of them each; they end in their order.

    A runtime is not made to be used by two threads: whoever wants to use a model elsewhere calls `finish` until
    nothing is under way.

    Parameters
    ----------
    most
        Frames under way at most.
    """

    def __init__(self, most: int) -> None:
        self._numbers = itertools.count()
        self._number = threading.local()
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="network", initializer=self._begin)
        self._under_way: deque[_Started] = deque()
        self._lanes = 1
        self._seconds = math.inf  # not known before the first frame
        self.bell, self._ringer = socket.socketpair()
        """Can be read when a frame is done."""
        for end in (self.bell, self._ringer):
            end.setblocking(False)

    @property
    def busy(self) -> bool:
        """Whether a frame has been started and not been fetched with `finish`."""
        return bool(self._under_way)

    @property
    def ready(self) -> bool:
        """Whether `finish` would not wait."""
        return self.busy and self._under_way[0].result.done()

    def has_room(self, model: LiveModel) -> bool:
        """Whether a frame of this model may be started now."""
        return len(self._under_way) < _room(model)

    def start(self, work: Work, raw: Pixels, model: LiveModel, *, alone: bool) -> None:
        """Begin with a frame, for which there is room.

        Parameters
        ----------
        work, raw, model
            The frame, its pixels, and what denoises it.
        alone
            No other frame waits: it may have all cores.
        """
        assert self.has_room(model)
        wide = not model.lanes or (alone and not self._under_way)
        result = self._pool.submit(self._denoise, work, raw, model, wide)
        result.add_done_callback(self._ring)
        self._under_way.append(_Started(result, time.monotonic() + self._seconds))
        self._lanes = max(1, len(model.lanes))

    def wait(self) -> None:
        """Return as soon as a network is idle, or shortly before it should be, going by how long the last frame took.

        A frame that takes longer than that is waited for: nobody knows when it will be done.
        """
        if len(self._under_way) < self._lanes:
            return
        oldest = self._under_way[0]
        rest = oldest.due - time.monotonic()
        known = -_AHEAD_S < rest < math.inf
        wait_for([oldest.result], timeout=max(0.0, rest - _AHEAD_S) if known else None)

    def finish(self) -> Denoised:
        """Wait for the oldest of the frames that were started."""
        with contextlib.suppress(BlockingIOError):
            self.bell.recv(4096)
        done = self._under_way.popleft().result.result()
        self._seconds = done.seconds
        return done

    def close(self) -> None:
        """Wait for what was started, and end."""
        self._pool.shutdown()
        self.bell.close()
        self._ringer.close()

    def _begin(self) -> None:
        self._number.value = next(self._numbers)

    def _denoise(self, work: Work, raw: Pixels, model: LiveModel, wide: bool) -> Denoised:  # noqa: FBT001
        started = time.perf_counter()
        pixels, error = None, ""
        denoiser = model.denoiser if wide else model.lanes[self._number.value]
        try:
            pixels = denoiser.cast(denoiser.denoise(raw), raw.dtype)
        except Exception as failure:  # noqa: BLE001 - whatever the runtime raises, the frame must be accounted for
            error = repr(failure)
        return Denoised(work, raw, model, pixels, error, time.perf_counter() - started)

    def _ring(self, _: Future[Denoised]) -> None:
        with contextlib.suppress(BlockingIOError):  # it is ringing already
            self._ringer.send(b"\0")


def _room(model: LiveModel) -> int:
    """Frames that may be under way: with lanes one more, so that none of them waits for the next frame."""
    return len(model.lanes) + 1
