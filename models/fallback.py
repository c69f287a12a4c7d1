"""A runtime that goes on when the device under it runs out of memory or is lost."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.models.runtime import Runtime

__all__ = ["FallbackRuntime"]

Float32 = NDArray[np.float32]

_MEMORY = ("out of memory", "failed to allocate", "bad allocation")


class FallbackRuntime:
    """Runs a network on the best device there is, in smaller batches or on the CPU when that fails.

    A device without memory gets half as many tiles at a time from then on; one that fails with a single tile, or in
    another way, is given up, and the network is loaded anew on the CPU. It never comes back to the device by itself:
    a device that fails once in mid-series is not trusted with the rest of it.

    Parameters
    ----------
    runtime
        The network on its device.
    load_cpu
        Loads the same network for the CPU; called once at most.
    """

    def __init__(self, runtime: Runtime, load_cpu: Callable[[], Runtime]) -> None:
        self._runtime = runtime
        self._load_cpu: Callable[[], Runtime] | None = load_cpu
        self._largest: int | None = None
        self.trouble = ""

    @property
    def provider(self) -> str:
        """What the network runs on now."""
        return self._runtime.provider

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the trainer wrote into the model file."""
        return self._runtime.metadata

    @property
    def model_id(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the model file."""
        return self._runtime.model_id

    def run(self, batch: Float32) -> Float32:
        """Apply the network to normalised tiles (N, 1, H, W); same shape back.

        `trouble` says in words what had to be given up, if anything.

        Raises
        ------
        quietscope.config.ModelError
            If the network fails on the CPU as well.
        """
        limit = self._largest or len(batch)
        parts = [batch[start : start + limit] for start in range(0, len(batch), limit)]
        try:
            results = [self._runtime.run(part) for part in parts]
        except ModelError as error:
            self._retreat(min(limit, len(batch)), error)
            return self.run(batch)
        return results[0] if len(results) == 1 else np.concatenate(results)

    def _retreat(self, tiles: int, error: ModelError) -> None:
        """Give up half of the batch, or the device."""
        if tiles > 1 and any(words in str(error).lower() for words in _MEMORY):
            self._largest = tiles // 2
            self.trouble = (
                f"{self.provider} has no memory for {tiles} tiles at a time, {self._largest} from now on"
            )
            return
        if self._load_cpu is None:
            raise error
        load, self._load_cpu = self._load_cpu, None
        self.trouble = f"{self.provider} failed and the network goes on, loaded anew, on the CPU: {error}"
        self._runtime = load()
