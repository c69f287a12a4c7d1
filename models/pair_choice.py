"""The choice of pairs to train on, made from measurements.

Spatial twins need noise that is independent from pixel to pixel; pairs of frames need a scene that holds
still within the noise. A scene that holds still throughout takes still twins, correlated noise takes temporal
twins where enough of the scene holds still from frame to frame, and everything else takes the spatial twins
of SN2N.
"""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from quietscope.config.settings import Settings
from quietscope.models.noise import measure_noise
from quietscope.models.normalisation import Normaliser
from quietscope.models.pairs import PairSource
from quietscope.models.spatial_twins import SpatialTwins
from quietscope.models.still_twins import StillTwins
from quietscope.models.stillness import moving_share
from quietscope.models.temporal_twins import TemporalTwins

__all__ = ["choose_pairs"]

_STILL = 0.004
"""Largest share of moving blocks in a scene that counts as still: fixed cells showed 0.002, living ones 0.04-0.8."""

_USABLE = 0.5
"""Largest share of moving blocks between neighbouring frames that leaves enough to train on."""

_LEAST_FRAMES = 4
"""Fewest frames from which the mean of the others is a better target than a twin."""


def choose_pairs(
    frames: Sequence[NDArray[Any]],
    indices: Sequence[int],
    normaliser: Normaliser,
    settings: Settings,
    multiple: int,
) -> PairSource:
    """Choose pairs for a channel.

    Parameters
    ----------
    frames
        Frames (Y, X) of one shape, finite, native dtype, grey levels, in time order.
    indices
        Time index of each frame.
    normaliser
        Gives each patch its offset and scale.
    settings
        The run's settings; ``adaptive_sn2n.pairs`` may force a kind, ``gate.max_twin_correlation`` is the
        limit above which spatial twins prove nothing.
    multiple
        The side of the patches is a multiple of this.

    Returns
    -------
    PairSource
        Its figures hold ``noise_std``, ``twin_correlation`` and, of several frames, ``moving_share``.

    Raises
    ------
    ModelError
        If pairs of frames are forced and there is only one frame.
    """
    noise = measure_noise(frames)
    factor = noise.coarse_null
    figures = {"noise_std": noise.std, "twin_correlation": noise.twin_correlation}
    wanted = settings.adaptive_sn2n.pairs
    patch = settings.adaptive_sn2n.patch
    if len(frames) > 1:
        figures["moving_share"] = moving_share(frames, correlation_factor=factor)
    still = len(frames) >= _LEAST_FRAMES and figures["moving_share"] <= _STILL
    if wanted == "still" or (wanted == "auto" and still):
        return StillTwins(frames, normaliser, patch=patch, multiple=multiple, figures=figures)
    correlated = noise.twin_correlation > settings.gate.max_twin_correlation
    if wanted == "temporal" or (wanted == "auto" and correlated and len(frames) > 1):
        temporal = TemporalTwins(
            frames,
            indices,
            normaliser,
            patch=patch,
            multiple=multiple,
            correlation_factor=factor,
            figures=figures,
        )
        if wanted == "temporal" or temporal.figures["moving_between_neighbours"] <= _USABLE:
            return temporal
    return SpatialTwins(frames, normaliser, patch=patch, multiple=multiple, figures=figures)
