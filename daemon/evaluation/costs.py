"""Work and memory of a training."""

import threading
from types import TracebackType
from typing import Self

import psutil

__all__ = ["MemoryPeak", "giga_macs"]

_EVERY_S = 0.02


class MemoryPeak:
    """Largest growth of this process' resident memory inside the block, read 50 times a second."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-peak")
        self._before = 0
        self._peak = 0

    @property
    def megabytes(self) -> float:
        """Growth, 10⁶ bytes."""
        return max(0, self._peak - self._before) / 1e6

    def __enter__(self) -> Self:
        self._before = self._peak = self._process.memory_info().rss
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self._peak = max(self._peak, self._process.memory_info().rss)


def giga_macs(network: object, shape: tuple[int, int]) -> float:
    """Multiplications with their additions for one frame in one piece, 10⁹.

    Parameters
    ----------
    network
        A `quietscope.models.method.DenoisingNetwork` on the CPU.
    shape
        Frame (Y, X), pixels; rounded up to multiples of the stride.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from quietscope.models.method import DenoisingNetwork

    assert isinstance(network, DenoisingNetwork)
    height, width = (-(-side // network.stride) * network.stride for side in shape)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 1, height, width))
    return float(counter.get_total_flops()) / 2e9  # each counts as two
