"""A thread for the network: while it computes one frame, the one before is shown, judged and stored."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass

from quietscope.adapters.frame import Pixels
from quietscope.daemon.models_live import LiveModel
from quietscope.daemon.work import Work

__all__ = ["Denoised", "NetworkThread"]

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


class NetworkThread:
    """Denoises one frame at a time.

    A runtime is not made to be used by two threads: whoever wants to use a model elsewhere calls `finish` before.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="network")
        self._under_way: Future[Denoised] | None = None
        self._due = 0.0
        self._seconds = 0.0

    @property
    def busy(self) -> bool:
        """Whether a frame has been started and not been fetched with `finish`."""
        return self._under_way is not None

    def start(self, work: Work, raw: Pixels, model: LiveModel) -> None:
        """Begin with a frame; the one before has been fetched."""
        assert self._under_way is None
        self._due = time.monotonic() + self._seconds
        self._under_way = self._pool.submit(_denoise, work, raw, model)

    def wait(self) -> None:
        """Return shortly before the frame that was started should be done, going by how long the one before took."""
        rest = self._due - _AHEAD_S - time.monotonic()
        if self._under_way is not None and rest > 0:
            wait_for([self._under_way], timeout=rest)

    def finish(self) -> Denoised | None:
        """Wait for the frame that was started; None if there is none."""
        if self._under_way is None:
            return None
        done, self._under_way = self._under_way.result(), None
        self._seconds = done.seconds
        return done

    def close(self) -> None:
        """Wait for what was started, and end."""
        self._pool.shutdown()


def _denoise(work: Work, raw: Pixels, model: LiveModel) -> Denoised:
    started = time.perf_counter()
    pixels, error = None, ""
    try:
        pixels = model.denoiser.cast(model.denoiser.denoise(raw), raw.dtype)
    except Exception as failure:  # noqa: BLE001 - whatever the runtime raises, the frame must be accounted for
        error = repr(failure)
    return Denoised(work, raw, model, pixels, error, time.perf_counter() - started)
