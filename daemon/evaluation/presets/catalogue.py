"""All presets by name."""

from collections.abc import Mapping

from quietscope.daemon.evaluation.presets.few_frames import FEW_FRAMES
from quietscope.daemon.evaluation.presets.fm2s import FM2S
from quietscope.daemon.evaluation.presets.noise2sr import NOISE2SR
from quietscope.daemon.evaluation.presets.poisson2void import POISSON2VOID
from quietscope.daemon.evaluation.presets.preset import Preset
from quietscope.daemon.evaluation.presets.published import PUBLISHED
from quietscope.daemon.evaluation.presets.simulation import SIMULATION

__all__ = ["PRESETS"]

PRESETS: Mapping[str, Preset] = {**SIMULATION, **FEW_FRAMES, **FM2S, **NOISE2SR, **POISSON2VOID, **PUBLISHED}
"""Value of ``--preset`` → what it does."""
