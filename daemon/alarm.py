"""Says when memory fills up: once at three quarters, once when it is full, and once when it is over."""

__all__ = ["QueueAlarm"]

_ON, _OFF = 0.75, 0.5


class QueueAlarm:
    """Turns the filling of the ring into alarms, with hysteresis so that a swaying queue does not chatter."""

    def __init__(self) -> None:
        self.percent = 0
        self._spooled = 0

    def update(self, share: float, spooled: int) -> tuple[str, str] | None:
        """Look at the ring.

        Parameters
        ----------
        share
            How full it is, 0 to 1.
        spooled
            Frames that ever had to wait on disk.

        Returns
        -------
        tuple of str or None
            Level and words of a new alarm, or None if nothing has changed.
        """
        grew, self._spooled = spooled > self._spooled, spooled
        before = self.percent
        if grew or share >= 1.0:
            self.percent = 100
        elif share >= _ON:
            self.percent = max(before, 75)
        elif share < _OFF:
            self.percent = 0
        if self.percent == before:
            return None
        match self.percent:
            case 100:
                return (
                    "warning",
                    "memory is full (100 %): frames wait on disk or the source waits; the disk is too slow",
                )
            case 75:
                return "warning", "memory for frames is three quarters full: the disk does not keep up"
            case _:
                return "info", "the disk keeps up again"
