"""The methods there are, by the name they have in the settings."""

from collections.abc import Callable, Mapping

import torch

from quietscope.config.settings import Settings
from quietscope.models import adaptive_sn2n, fm2s, noise2sr, poisson2void
from quietscope.models.method import Preparation
from quietscope.models.protocols import TrainingSet

__all__ = ["METHODS", "Prepare"]

Prepare = Callable[[TrainingSet, Settings, torch.device], Preparation]

METHODS: Mapping[str, Prepare] = {
    "adaptive-sn2n": adaptive_sn2n.prepare,
    "fm2s": fm2s.prepare,
    "noise2sr": noise2sr.prepare,
    "poisson2void": poisson2void.prepare,
}
"""Value of the setting ``method`` → what prepares its training."""
