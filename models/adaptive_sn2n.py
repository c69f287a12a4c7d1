"""Adaptive-SN2N: what the method trains, on what, and at which scale.

Source: Qu et al., Nature Methods 21, 1895 (2024), and its adaptive successor (PhotoniX Life, 2026,
doi 10.3724/PXLIFE.2025-0010), written anew from the description. The differences, each measured: no
normalisation layers, linear output, squared loss, one scale for both twins and the raw frame, background
trained on.
"""

from dataclasses import dataclass

import torch

from quietscope.config.errors import ModelError
from quietscope.config.settings import Settings
from quietscope.models.networks import DenoisingUNet
from quietscope.models.normalisation import Normaliser
from quietscope.models.pair_choice import choose_pairs
from quietscope.models.pairs import PairSource
from quietscope.models.protocols import TrainingSet

__all__ = ["NAME", "Preparation", "prepare"]

NAME = "adaptive-sn2n"
"""Name of the method in settings and metadata."""


@dataclass(frozen=True)
class Preparation:
    """Everything that the training loop needs.

    Parameters
    ----------
    network
        Fresh network on the CPU.
    pairs
        What to train and to validate on.
    normaliser
        Scale of the patches.
    """

    network: DenoisingUNet
    pairs: PairSource
    normaliser: Normaliser


def prepare(training_set: TrainingSet, settings: Settings) -> Preparation:
    """Choose scale, pairs and network for a channel.

    Parameters
    ----------
    training_set
        Frames of one channel, checked.
    settings
        The run's settings; `settings.training.seed` fixes the network's first weights.

    Returns
    -------
    Preparation
        Ready to train.

    Raises
    ------
    ModelError
        If the network's stride and the patch do not go together.
    """
    options = settings.adaptive_sn2n
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.training.seed)
        network = DenoisingUNet(options.base_channels, options.levels, options.stem)
    if options.patch % network.stride:
        msg = (
            f"adaptive_sn2n.patch is {options.patch}, not a multiple of the network's stride "
            f"{network.stride} (stem {options.stem}, {options.levels} levels); set a multiple or fewer levels"
        )
        raise ModelError(msg)
    normaliser = Normaliser.calibrate(options.normalisation, training_set.frames)
    pairs = choose_pairs(
        training_set.frames, training_set.indices, normaliser, settings, multiple=network.stride
    )
    return Preparation(network, pairs, normaliser)
