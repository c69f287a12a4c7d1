"""Mean brightness of the raw frames over time: how much light there is, and how fast it fades."""

import threading

import numpy as np

from quietscope.adapters.frame import Pixels

__all__ = ["LightMeter"]

_STEP = 4
_POINTS = 256


class LightMeter:
    """Holds the mean grey level of raw frames by channel and time point.

    At most some hundred time points a channel are held; of a long series every second, fourth, … one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._means: dict[int, dict[int, float | None]] = {}
        self._stride: dict[int, int] = {}

    def add(self, channel: int, t: int, raw: Pixels) -> None:
        """Measure a raw frame, shape (Y, X), unless its time point is measured or not wanted."""
        with self._lock:
            means = self._means.setdefault(channel, {})
            if means.get(t) is not None or t % self._stride.get(channel, 1):
                return
        mean = float(np.mean(raw[::_STEP, ::_STEP], dtype=np.float64))
        self._set(channel, t, mean if np.isfinite(mean) else None)

    def miss(self, channel: int, t: int) -> None:
        """Note that there is no raw frame at a time point."""
        self._set(channel, t, None)

    def wanted(self, channel: int, length: int) -> int | None:
        """A time point below `length` that should be measured next, or None; spread over the series."""
        with self._lock:
            means = self._means.get(channel, {})
            stride = self._stride.get(channel, 1)
            while length / stride > 2 * _POINTS:
                stride *= 2
            coarse = stride
            while coarse * 2 < length:
                coarse *= 2
            while coarse >= stride:
                for t in range(0, length - 1, coarse):
                    if t not in means:
                        return t
                coarse //= 2
            return None

    def means(self, channel: int) -> tuple[list[int], list[float]]:
        """Time points in order, and the mean grey level of their raw frames."""
        with self._lock:
            known = sorted((t, mean) for t, mean in self._means.get(channel, {}).items() if mean is not None)
        return [t for t, _ in known], [mean for _, mean in known]

    def _set(self, channel: int, t: int, mean: float | None) -> None:
        with self._lock:
            means = self._means.setdefault(channel, {})
            means[t] = mean
            stride = self._stride.get(channel, 1)
            while len(means) > 2 * _POINTS:
                stride *= 2
                means = {t: value for t, value in means.items() if t % stride == 0}
            self._means[channel], self._stride[channel] = means, stride
