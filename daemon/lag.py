"""How far a queue is behind, in seconds, from two counts and a clock that never jumps.

Where as much has left a queue by now as had entered it five seconds ago, it is five seconds behind. That holds for
every rate, also where nothing moves at all, and needs no time stamps of the senders, whose clocks may be others.

>>> lag = Lag()
>>> [lag.update(entered, left, now_s) for entered, left, now_s in [(0, 0, 10.0), (8, 2, 11.0), (16, 8, 12.0)]]
[0.0, 1.0, 1.0]
"""

from collections import deque

__all__ = ["Lag"]

_REMEMBERED = 10_000


class Lag:
    """Follows one queue in which what enters first leaves first, more or less."""

    def __init__(self) -> None:
        self._looks: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)

    def update(self, entered: int, left: int, now_s: float) -> float:
        """Look at the queue.

        Parameters
        ----------
        entered, left
            How many have entered and left it since the first look.
        now_s
            Seconds on a clock that never goes back.

        Returns
        -------
        float
            Seconds by which the queue is behind, to within the time between two looks; 0 when it is empty.
        """
        self._looks.append((entered, now_s))
        while len(self._looks) > 1 and self._looks[1][0] <= left:
            self._looks.popleft()
        return 0.0 if entered <= left else now_s - self._looks[0][1]
