"""The clock of a training in the background: it counts work, not time, and makes it rest where others are at work."""

import os
import time
from collections.abc import Callable

import psutil

__all__ = ["BackgroundClock"]

_SHARE = 0.1
"""Most of all cores that the training takes while others are at work. Of two cores, 0.49 that were idle anyway slowed a
saturated live path by 19 %, 0.25 by 11 % (shared caches and memory)."""

_BUSY = 0.25
"""Share of all cores from which on others are at work."""

_LOOK_S = 0.5
"""Time between two looks at the others."""

_LONGEST_REST_S = 1.0

_LONGEST = 30.0
"""Times the budget after which a training ends by the clock on the wall, whatever it could work."""


def _busy_cores() -> float:
    """Cores in use since the last call, by all processes."""
    return float(psutil.cpu_percent()) / 100 * (os.cpu_count() or 1)


class BackgroundClock:
    """Seconds that a training would have taken alone on the machine; to be called at every step.

    Parameters
    ----------
    threads
        Threads of the training.
    clock, worked
        Seconds on the wall, and of processor time of this process.
    busy
        Cores in use by all processes since the last call.
    sleep
        Rests for so many seconds.
    cores
        Of the machine.
    """

    def __init__(
        self,
        threads: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.process_time,
        busy: Callable[[], float] = _busy_cores,
        sleep: Callable[[float], None] = time.sleep,
        cores: int | None = None,
    ) -> None:
        self._threads = threads
        self._clock, self._worked, self._busy, self._sleep = clock, worked, busy, sleep
        self._cores = cores or os.cpu_count() or 1
        self._born = self._since = clock()
        self._worked_before = self._worked_since = worked()
        self._beside_others = False
        busy()  # the first call of psutil's only begins to count

    def __call__(self) -> float:
        """Rest if it is time to, and tell the seconds."""
        if self._beside_others:
            most = _SHARE * self._cores
            due = (self._worked() - self._worked_since) / most - (self._clock() - self._since)
            if due > 0:
                self._sleep(min(due, _LONGEST_REST_S))
        self._look()
        alone = (self._worked() - self._worked_before) / self._threads
        return max(alone, (self._clock() - self._born) / _LONGEST)

    def _look(self) -> None:
        now, worked = self._clock(), self._worked()
        elapsed = now - self._since
        if elapsed < _LOOK_S:
            return
        own = (worked - self._worked_since) / elapsed
        self._beside_others = self._busy() - own > _BUSY * self._cores
        self._since, self._worked_since = now, worked
