"""How much a browser's link can carry, and how coarse its pictures have to be."""

__all__ = ["Link"]

_SMALLEST_SAMPLE = 50_000
_TARGET_S = 0.25
_FIRST_NBYTES = 1_100_000
"""Sent over a link of which nothing is known: raw and denoised of 512 × 512."""
_EASE = 0.6
_COARSEST = 8
_WEIGHT = 0.4


class Link:
    """Measures a link by its acknowledgements.

    Examples
    --------
    >>> link = Link()
    >>> link.factor(1_000_000)
    1
    >>> link.measured(8_000_000, 4.0)
    >>> link.factor(8_000_000)
    8
    """

    def __init__(self) -> None:
        self._bytes_per_s: float | None = None
        self._factor = 1

    @property
    def bytes_per_s(self) -> float | None:
        """Throughput, or None while nothing large was sent."""
        return self._bytes_per_s

    def measured(self, nbytes: int, seconds: float) -> None:
        """Note how long `nbytes` took from sending to arrival; small messages say nothing."""
        if nbytes < _SMALLEST_SAMPLE:
            return
        speed = nbytes / max(seconds, 1e-4)
        old = self._bytes_per_s
        self._bytes_per_s = speed if old is None else old + _WEIGHT * (speed - old)

    def factor(self, nbytes: int) -> int:
        """Binning with which a picture of `nbytes` arrives within a quarter of a second: 1, 2, 4 or 8.

        It becomes finer only where there is room to spare, so that it does not swing to and fro.
        """
        budget = _FIRST_NBYTES if self._bytes_per_s is None else _TARGET_S * self._bytes_per_s
        while self._factor < _COARSEST and nbytes / self._factor**2 > budget:
            self._factor *= 2
        while self._factor > 1 and nbytes / (self._factor / 2) ** 2 < _EASE * budget:
            self._factor //= 2
        return self._factor
