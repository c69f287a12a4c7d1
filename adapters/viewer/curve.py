"""A figure over time in bounded memory."""

from typing import Any

__all__ = ["Curve"]

_LONGEST = 1200


class Curve:
    """Samples of one figure; when there are too many, neighbours are averaged.

    Examples
    --------
    >>> curve = Curve(longest=4)
    >>> for i in range(5):
    ...     curve.add(i, 10 * i)
    >>> curve.since(0, 0)
    {'epoch': 1, 'start': 0, 'x': [0.5, 2.5, 4], 'y': [5.0, 25.0, 40]}
    >>> curve.since(1, 2)["x"]
    [4]
    """

    def __init__(self, longest: int = _LONGEST) -> None:
        self._longest = longest
        self._epoch = 0
        self._x: list[float] = []
        self._y: list[float] = []

    def __len__(self) -> int:
        return len(self._x)

    @property
    def epoch(self) -> int:
        """How often the samples have been thinned; what was sent before is then void."""
        return self._epoch

    def add(self, x: float, y: float) -> None:
        """Append a sample; `x` never decreases."""
        if len(self._x) >= self._longest:
            self._x, self._y = _halved(self._x), _halved(self._y)
            self._epoch += 1
        self._x.append(x)
        self._y.append(y)

    def since(self, epoch: int, start: int) -> dict[str, Any]:
        """Samples from number `start` on, or all of them if they have been thinned since `epoch`."""
        first = start if epoch == self._epoch else 0
        return {"epoch": self._epoch, "start": first, "x": self._x[first:], "y": self._y[first:]}


def _halved(values: list[float]) -> list[float]:
    return [(a + b) / 2 for a, b in zip(values[::2], values[1::2], strict=False)]
