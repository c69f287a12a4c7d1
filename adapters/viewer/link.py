"""How much a browser's link can carry, and how coarse its pictures have to be."""

from collections import deque
from statistics import median

__all__ = ["Link"]

_SMALLEST_SAMPLE = 10_000
_SHORTEST_S = 0.005
_SAMPLES = 4
_DELAYS = 8
_TARGET_S = 0.25
_FIRST_NBYTES = 1_100_000
"""Sent over a link of which nothing is known: raw and denoised of 512 × 512."""
_EASE = 0.6
_COARSEST = 8


class Link:
    """Measures a link by its acknowledgements.

    What even a small message takes is the delay of a far or a busy computer, not the link's width. Of the last
    pictures the fastest counts: a busy computer is slow now and then, a narrow link always.

    Examples
    --------
    >>> link = Link()
    >>> link.factor(1_000_000)
    1
    >>> link.measured(8_000_000, 4.0)
    >>> link.factor(8_000_000)
    4
    """

    def __init__(self) -> None:
        self._speeds: deque[float] = deque(maxlen=_SAMPLES)
        self._delays: deque[float] = deque(maxlen=_DELAYS)
        self._factor = 1

    @property
    def bytes_per_s(self) -> float | None:
        """Throughput, or None while nothing large was sent."""
        return max(self._speeds, default=None)

    def measured(self, nbytes: int, seconds: float, *, alone: bool = True) -> None:
        """Note how long `nbytes` took from sending to arrival, and whether nothing else was under way then."""
        if nbytes >= _SMALLEST_SAMPLE:
            delay = median(self._delays) if self._delays else 0.0
            self._speeds.append(nbytes / max(seconds - delay, _SHORTEST_S))
        elif alone:
            self._delays.append(seconds)

    def factor(self, nbytes: int) -> int:
        """Binning with which a picture of `nbytes` arrives within a quarter of a second: 1, 2, 4 or 8.

        It becomes finer only where there is room to spare, so that it does not swing to and fro.
        """
        speed = self.bytes_per_s
        budget = _FIRST_NBYTES if speed is None else _TARGET_S * speed
        while self._factor < _COARSEST and nbytes / self._factor**2 > budget:
            self._factor *= 2
        while self._factor > 1 and nbytes / (self._factor / 2) ** 2 < _EASE * budget:
            self._factor //= 2
        return self._factor
