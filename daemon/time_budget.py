"""A training budget by the clock: the daemon's, since `quietscope.models` knows no time."""

import time
from collections.abc import Callable

from quietscope.config.science import TrainingSettings

__all__ = ["Clock", "TimeBudget"]

Clock = Callable[[], float]

_GRACE = 3.0


class TimeBudget:
    """A training budget by the clock, bounded in steps from both sides.

    Parameters
    ----------
    settings
        ``budget_s``, ``min_steps`` and ``max_steps``.
    clock
        Gives seconds.
    """

    def __init__(self, settings: TrainingSettings, clock: Clock = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._started: float | None = None

    def used(self, step: int) -> float:
        """Share of the budget used; the clock starts with the first call."""
        now = self._clock()
        if self._started is None:
            self._started = now
        limits = self._settings
        share = (now - self._started) / limits.budget_s
        if limits.min_steps:
            # A machine that is busy with other things gets more time instead of a half-trained model.
            share = min(share, max(step / limits.min_steps, share / _GRACE))
        return share if limits.max_steps is None else max(share, step / limits.max_steps)
