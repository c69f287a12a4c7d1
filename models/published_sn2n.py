"""SN2N's published network on pairs of its own kind, for comparisons: what the small network is measured against.

Source: Qu et al., Nature Methods 21, 1895 (2024), and its adaptive successor (PhotoniX Life, 2026, doi
10.3724/PXLIFE.2025-0010), written anew from the description: 17.27 million weights, absolute loss, self-consistency,
Adam at a constant 2·10⁻⁴. It is no method of the settings, since it is too slow to be live.

What the released code lacks, and this has, because frames could not be compared otherwise: the scale of every patch is
taken back, and the line that makes intensities true.
"""

import torch
from torch import Tensor

from quietscope.config.settings import Settings
from quietscope.models.hardware import move, trains_in_bfloat16
from quietscope.models.method import Preparation, TrueOutput
from quietscope.models.networks import published_unet
from quietscope.models.normalisation import Normaliser
from quietscope.models.pair_choice import choose_pairs
from quietscope.models.pair_objective import PairObjective
from quietscope.models.protocols import TrainingSet

__all__ = ["prepare"]

_SELF_CONSISTENCY = 0.5
_LEARNING_RATE = 2e-4
_BETAS = (0.5, 0.999)


class _PublishedNetwork(TrueOutput):
    """The published network with the line behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = published_unet()

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this, pixels."""
        return 16

    def forward(self, image: Tensor) -> Tensor:
        """Denoise a batch (N, 1, H, W) of images between 0 and 1."""
        return self.true(self.inner(image))


def prepare(training_set: TrainingSet, settings: Settings, device: torch.device) -> Preparation:
    """Published network, loss and schedule.

    Parameters
    ----------
    training_set
        Frames of one channel, checked.
    settings
        The run's settings; ``normalisation``, ``pairs``, ``patch`` and ``batch`` of section ``adaptive_sn2n`` count.
    device
        Where to train.

    Returns
    -------
    Preparation
        Ready to train.
    """
    options = settings.adaptive_sn2n
    network = _PublishedNetwork()
    normaliser = Normaliser.calibrate(options.normalisation, training_set.frames)
    pairs = choose_pairs(training_set, normaliser, settings, multiple=network.stride).pairs
    network = move(network, device)
    bfloat16 = trains_in_bfloat16(settings.training.precision, device)
    objective = PairObjective(
        network,
        pairs,
        batch=options.batch,
        loss="l1",
        self_consistency=_SELF_CONSISTENCY,
        bfloat16=bfloat16,
        validates=False,  # statistics of batches would take up what is held out
    )
    return Preparation(
        network=network,
        objective=objective,
        normaliser=normaliser,
        pairs=pairs.kind,
        learning_rate=_LEARNING_RATE,
        examples=pairs.held_out().inputs,
        rate=lambda _: 1.0,
        betas=_BETAS,
        line_pairs=pairs if pairs.raw_inputs else None,
        figures={**pairs.figures, "bfloat16": float(bfloat16)},
    )
