"""Threads for the network: while it computes a frame, those before are shown, judged and stored."""

import contextlib
import itertools
import math
import socket
import threading
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
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


@dataclass(slots=True)
class _Started:
    work: Work
    result: Future[Denoised]
    began: float  # for ever away while it waits for a lane


class NetworkThreads:
    """Denoises frames, one at a time on all cores or several on a share of them each; they end in their order.

    A runtime is not made to be used by two threads: whoever wants to use a model elsewhere calls `finish` until
    nothing is under way.

    Parameters
    ----------
    number
        Threads, as many as a model has lanes.
    """

    def __init__(self, number: int) -> None:
        self._count = number
        self._failed: set[str] = set()
        self._numbers = itertools.count()
        self._number = threading.local()
        self._pool = ThreadPoolExecutor(number, thread_name_prefix="network", initializer=self._begin)
        self._under_way: deque[_Started] = deque()
        self._lanes = 0
        self._seconds = math.inf  # not known before the first frame
        self.bell, self._ringer = socket.socketpair()
        """Can be read when a frame is done."""
        for end in (self.bell, self._ringer):
            end.setblocking(False)
            if (
                end.family == socket.AF_INET
            ):  # Windows, where the second ring would wait for the first to be heard
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def busy(self) -> bool:
        """Whether a frame has been started and not been fetched with `finish`."""
        return bool(self._under_way)

    @property
    def busy_with_new(self) -> bool:
        """Whether one of them is new, and not back-filled."""
        return any(started.work.fresh for started in self._under_way)

    def is_ready(self) -> bool:
        """Whether `finish` would not wait; `bell` is silent from now on until another frame is done."""
        with contextlib.suppress(BlockingIOError):
            self.bell.recv(4096)
        return self.busy and self._under_way[0].result.done()

    def wants_frame(self) -> bool:
        """Whether a network is idle, or is to be so very soon and no frame waits for it."""
        running = self._running()
        if len(self._under_way) > 2 * max(1, self._lanes):  # they wait for the oldest
            return False
        if len(running) == max(1, self._lanes):
            return abs(self._rest(running)) <= _AHEAD_S
        return len(running) < max(1, self._lanes)

    def wait(self) -> None:
        """Return when `wants_frame` or `is_ready`.

        A frame that takes longer than the one before is waited for: nobody knows when it will be done.
        """
        while not (self.wants_frame() or self.is_ready()):
            running = self._running()
            if not running:  # the last one has just been done
                continue
            rest = self._rest(running) - _AHEAD_S
            predictable = len(running) == max(1, self._lanes) and 0 < rest < math.inf
            wait_for(
                [started.result for started in running],
                timeout=rest if predictable else None,
                return_when=FIRST_COMPLETED,
            )

    def has_room(self, model: LiveModel) -> bool:
        """Whether a frame of this model may be started now: one on all cores, or one to wait for the next lane."""
        lanes = self._lanes_of(model)
        return len(self._running()) <= lanes if lanes else not self._running()

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
        self._lanes = self._lanes_of(model)
        running = len(self._running())
        wide = not self._lanes or (alone and not running)
        at_once = running < max(1, self._lanes)
        started = _Started(work, Future(), time.monotonic() if at_once else math.inf)
        started.result = self._pool.submit(self._denoise, started, raw, model, wide)
        started.result.add_done_callback(self._ring)
        self._under_way.append(started)

    def finish(self) -> Denoised:
        """Wait for the oldest of the frames that were started."""
        done = self._under_way.popleft().result.result()
        self._seconds = done.seconds
        if any(lane.trouble for lane in done.model.lanes):
            self._failed.add(done.model.model_id)
        return done

    def close(self) -> None:
        """Wait for what is being computed, and end."""
        self._pool.shutdown(cancel_futures=True)
        self.bell.close()
        self._ringer.close()

    def _running(self) -> list[_Started]:
        """Frames that are being computed, or wait for a lane."""
        return [started for started in self._under_way if not started.result.done()]

    def _rest(self, running: list[_Started]) -> float:
        """Seconds until the first of them should be done, going by how long the last frame took."""
        return min(started.began for started in running) + self._seconds - time.monotonic()

    def _begin(self) -> None:
        self._number.value = next(self._numbers)

    def _denoise(self, started: _Started, raw: Pixels, model: LiveModel, wide: bool) -> Denoised:  # noqa: FBT001
        started.began = time.monotonic()
        pixels, error = None, ""
        try:
            denoiser = model.denoiser if wide else model.lanes[self._number.value]
            pixels = denoiser.cast(denoiser.denoise(raw), raw.dtype)
        except Exception as failure:  # noqa: BLE001 - whatever the runtime raises, the frame must be accounted for
            error = repr(failure)
        return Denoised(started.work, raw, model, pixels, error, time.monotonic() - started.began)

    def _ring(self, _: Future[Denoised]) -> None:
        with contextlib.suppress(BlockingIOError):  # it is ringing already
            self._ringer.send(b"\0")

    def _lanes_of(self, model: LiveModel) -> int:
        """Frames of a model that are computed at the same time; 0 where there is but one network, or one has failed."""
        enough = len(model.lanes) == self._count and model.model_id not in self._failed
        return self._count if enough else 0
