"""One network for all phases of a frame; see `quietscope.models.phases`."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from quietscope.models.method import DenoisingNetwork
from quietscope.models.phases import split_phases

__all__ = ["PhaseSplit"]


class PhaseSplit(DenoisingNetwork):
    """Denoises the phases of a frame with one network and joins them again.

    Parameters
    ----------
    inner
        Denoises a phase.
    k
        Distance of the pixels of a phase.
    """

    def __init__(self, inner: DenoisingNetwork, k: int) -> None:
        super().__init__()
        self.inner = inner
        self.k = k

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this, pixels."""
        return self.k * self.inner.stride

    def fold_line(self, gain: float, offset: float) -> None:
        """Return ``gain * output + offset`` from now on; means and interleaving leave a line as it is."""
        self.inner.fold_line(gain, offset)

    def line_view(self, frames: Sequence[NDArray[Any]]) -> tuple[DenoisingNetwork, Sequence[NDArray[Any]]]:
        """Return the inner network and the phases: only within a phase noise is independent."""
        return self.inner, [phase for frame in frames for phase in split_phases(frame, self.k)]

    def forward(self, image: Tensor) -> Tensor:
        """Denoise a batch (N, 1, H, W) of normalised images."""
        phases = functional.pixel_unshuffle(image, self.k)
        count, number, rows, columns = phases.shape
        denoised = self.inner(phases.reshape(count * number, 1, rows, columns))
        joined = functional.pixel_shuffle(denoised.reshape(count, number, rows, columns), self.k)
        padded = functional.pad(joined, (1, 1, 1, 1), mode="replicate")
        return functional.avg_pool2d(padded, 3, stride=1)
