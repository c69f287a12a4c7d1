"""When to show cheaper pictures, and when to show better ones again: a ladder with hysteresis.

::

    full ─► less overlap ─► larger tiles ─► preview ─► raw        down: late for `patience_s`, and not catching up
    full ◄─ less overlap ◄─ larger tiles ◄─ preview ◄─ raw        up: in time for `retry_s`

Whether a better picture would come in time can only be tried. A try that fails doubles the time until the next one, so
that a machine that is too slow for full quality does not sway between two steps.

This is the *only* component that decides about steps. It measures nothing and has no clock.

>>> ladder = Ladder(DegradeSettings(late_s=2, patience_s=3, retry_s=20), ("full", "preview", "raw"))
>>> [ladder.observe(now_s, 4.0) for now_s in (0.0, 1.0, 2.0, 3.0)], ladder.quality
([0, 0, 0, 1], 'preview')
"""

import math
from collections.abc import Sequence

from quietscope.adapters.wire_headers import QUALITIES, Quality
from quietscope.config.system import DegradeSettings

__all__ = ["Ladder"]

_CATCHING_UP = 0.1
"""A delay that shrinks by this share of the time that passes will go away by itself."""

_MOST_DOUBLINGS = 5
_LASTING = 4
"""A step up has lasted if it held for so many times the wait before it."""


class Ladder:
    """Steps between the qualities of live pictures.

    Parameters
    ----------
    settings
        What late means, and how long to wait.
    steps
        Qualities worth having, the best one first: ``full`` and some others, in the order of
        `quietscope.adapters.wire_headers.QUALITIES`.
    """

    def __init__(self, settings: DegradeSettings, steps: Sequence[Quality] = QUALITIES) -> None:
        self._settings = settings
        self._steps = tuple(steps)
        self.quality: Quality = "full"
        self._failures = 0
        self._up_at: float | None = None
        self._late_since: float | None = None
        self._least = math.inf
        self._least_before = 0.0
        self._in_time_since: float | None = None
        self.in_time = True
        """Whether the newest picture came in time."""

    @property
    def wait_s(self) -> float:
        """Seconds for which pictures must be in time before the next step up."""
        return self._settings.retry_s * float(2**self._failures)

    def offer(self, steps: Sequence[Quality]) -> None:
        """Say which qualities are worth having from now on; one that is not among them is left for a cheaper one."""
        self._steps = tuple(steps)
        if self.quality not in self._steps:
            cheaper = QUALITIES[QUALITIES.index(self.quality) :]
            self.quality = next((step for step in cheaper if step in self._steps), self._steps[-1])

    def hold(self) -> None:
        """Forget what was observed, since it says nothing about what is to come; the step stays."""
        self._late_since, self._least, self._least_before = None, math.inf, 0.0
        self._in_time_since = None
        self.in_time = True

    def reset(self) -> None:
        """Go back to full quality at once."""
        self.quality = "full"
        self._failures = 0
        self._up_at = None
        self.hold()

    def observe(self, now_s: float, delay_s: float) -> int:
        """Take in how late the newest picture is.

        Parameters
        ----------
        now_s
            Seconds on a clock that never goes back.
        delay_s
            Seconds from the arrival of a frame to its picture.

        Returns
        -------
        int
            1 after a step down, −1 after a step up, else 0.
        """
        self.in_time = delay_s <= self._settings.late_s / 2
        if not self.in_time:
            self._in_time_since = None
        elif self._in_time_since is None:
            self._in_time_since = now_s
        if self._in_time_since is not None and now_s - self._in_time_since >= self.wait_s:
            return self._step(now_s, -1)
        return self._step(now_s, 1) if self._stays_late(now_s, delay_s) else 0

    def _stays_late(self, now_s: float, delay_s: float) -> bool:
        """Whether patience has come to its end just now."""
        if delay_s <= self._settings.late_s:
            self._late_since, self._least, self._least_before = None, math.inf, 0.0
            return False
        if self._late_since is None:
            self._late_since = now_s
        self._least = min(self._least, delay_s)
        passed = now_s - self._late_since
        if passed < self._settings.patience_s:
            return False
        catches_up = self._least < self._least_before - _CATCHING_UP * passed
        self._late_since, self._least, self._least_before = now_s, delay_s, self._least
        return not catches_up

    def _step(self, now_s: float, direction: int) -> int:
        place = self._steps.index(self.quality) + direction
        self._in_time_since = None
        if not 0 <= place < len(self._steps):
            return 0
        self.quality = self._steps[place]
        if direction < 0:
            self._up_at = now_s
        else:
            if self._up_at is not None:
                relapsed = now_s - self._up_at < _LASTING * self.wait_s
                self._failures = min(self._failures + 1, _MOST_DOUBLINGS) if relapsed else 0
            self._up_at = None
        return direction
