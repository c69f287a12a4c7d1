"""Adaptive-SN2N: what the method trains, on what, and at which scale.

Source: Qu et al., Nature Methods 21, 1895 (2024), and its adaptive successor (PhotoniX Life, 2026,
doi 10.3724/PXLIFE.2025-0010), written anew from the description. The differences, each measured: no
normalisation layers, linear output, squared loss, one scale for both twins and the raw frame, background
trained on.
"""

import torch

from quietscope.config.errors import ModelError
from quietscope.config.settings import Settings
from quietscope.models.hardware import move, trains_in_bfloat16
from quietscope.models.method import Preparation
from quietscope.models.networks import DenoisingUNet
from quietscope.models.normalisation import Normaliser
from quietscope.models.pair_choice import choose_pairs
from quietscope.models.pair_objective import PairObjective
from quietscope.models.patches import HELD_OUT_FROM
from quietscope.models.phase_network import PhaseSplit
from quietscope.models.protocols import TrainingSet

__all__ = ["prepare"]


def prepare(training_set: TrainingSet, settings: Settings, device: torch.device) -> Preparation:
    """Choose scale, pairs and network for a channel.

    Parameters
    ----------
    training_set
        Frames of one channel, checked.
    settings
        The run's settings; `settings.training.seed` fixes the network's first weights.
    device
        Where to train.

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
    inner = DenoisingUNet(
        options.base_channels, options.levels, options.stem, filtered=options.residual == "filter"
    )
    if options.patch % inner.stride:
        msg = (
            f"adaptive_sn2n.patch is {options.patch}, not a multiple of the network's stride "
            f"{inner.stride} (stem {options.stem}, {options.levels} levels); set a multiple or fewer levels"
        )
        raise ModelError(msg)
    normaliser = Normaliser.calibrate(options.normalisation, training_set.frames)
    choice = choose_pairs(training_set, normaliser, settings, multiple=inner.stride)
    inner = move(inner, device)
    bfloat16 = trains_in_bfloat16(settings.training.precision, device)
    pairs = choice.pairs
    objective = PairObjective(
        inner,
        pairs,
        batch=options.batch,
        loss=options.loss,
        self_consistency=options.self_consistency,
        bfloat16=bfloat16,
        validates=len(training_set.frames) >= HELD_OUT_FROM,
    )
    return Preparation(
        network=inner if choice.phases == 1 else PhaseSplit(inner, choice.phases),
        objective=objective,
        normaliser=normaliser,
        pairs=pairs.kind if choice.phases == 1 else "phase",
        learning_rate=options.learning_rate,
        examples=pairs.held_out().inputs,
        line_pairs=pairs if pairs.raw_inputs else None,
        setting="adaptive_sn2n.learning_rate",
        figures={**pairs.figures, "phases": float(choice.phases), "bfloat16": float(bfloat16)},
        words=choice.words,
    )
