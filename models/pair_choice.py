"""The choice of pairs to train on, made from measurements.

Twins from single frames need noise that is independent from pixel to pixel; pairs of frames need a scene that
holds still within the noise. A scene that holds still throughout takes still twins. Correlated noise takes
temporal twins where enough of the scene holds still from frame to frame, else the twins of interleaved phases
where the correlation ends within a few pixels. Everything else takes twins from single frames: of 2x2 blocks,
and of photo-electrons where they can be counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from quietscope.config.settings import Settings
from quietscope.models.calibration import Calibration, calibrate
from quietscope.models.drift import holds_still
from quietscope.models.mixed_twins import MixedTwins
from quietscope.models.normalisation import Normaliser
from quietscope.models.pairs import PairSource
from quietscope.models.patches import HELD_OUT_FROM, FrameStack
from quietscope.models.phases import phase_count, split_phases
from quietscope.models.protocols import TrainingSet
from quietscope.models.spatial_twins import SpatialTwins
from quietscope.models.still_twins import StillTwins
from quietscope.models.stillness import moving_share
from quietscope.models.temporal_twins import TemporalTwins
from quietscope.models.thinned_twins import ThinnedTwins
from quietscope.models.thinning import Thinning

__all__ = ["PairChoice", "choose_pairs"]

_STILL = 0.004
"""Largest share of moving blocks in a scene that counts as still: fixed cells showed 0.002, living ones 0.04-0.8."""

_SPLIT = {
    "spatial": "each frame split in two by its pixels",
    "thinned": "each frame split in two by its photons",
    "mixed": "each frame split in two, in turn by its photons and by its pixels",
}
"""What twins of single frames are, for people."""

_ORDINALS = {2: "second", 3: "third", 4: "fourth"}

_USABLE = 0.5
"""Largest share of moving blocks between neighbouring frames that leaves enough to train on."""


@dataclass(frozen=True)
class PairChoice:
    """What was chosen.

    Parameters
    ----------
    pairs
        The pairs.
    words
        What they are and why, for people.
    phases
        The pairs are those of frames of every k-th pixel; 1 for whole frames.
    """

    pairs: PairSource
    words: str
    phases: int = 1


def choose_pairs(
    training_set: TrainingSet, normaliser: Normaliser, settings: Settings, multiple: int
) -> PairChoice:
    """Choose pairs for a channel.

    Parameters
    ----------
    training_set
        Frames of one channel in time order, checked.
    normaliser
        Gives each patch its offset and scale.
    settings
        The run's settings; ``adaptive_sn2n.pairs`` may force a kind, ``gate.max_twin_correlation`` is the
        limit above which twins of single frames prove nothing.
    multiple
        The side of the patches is a multiple of this.

    Returns
    -------
    PairChoice
        The figures of its pairs hold ``noise_std``, ``twin_correlation`` and, of several frames, ``moving_share``.

    Raises
    ------
    ModelError
        If pairs of frames are forced and there is only one frame.
    """
    return _Choice(training_set, normaliser, settings, multiple).choose()


class _Choice:
    def __init__(
        self, training_set: TrainingSet, normaliser: Normaliser, settings: Settings, multiple: int
    ) -> None:
        self._set = training_set
        self._normaliser = normaliser
        self._wanted = settings.adaptive_sn2n.pairs
        self._patch = settings.adaptive_sn2n.patch
        self._multiple = multiple
        noise = training_set.calibration.noise
        self._factor = noise.coarse_null
        self._correlated = training_set.calibration.is_correlated(settings.gate.max_twin_correlation)
        self._several = len(training_set.frames) > 1
        self._figures = {"noise_std": noise.std, "twin_correlation": noise.twin_correlation}
        if self._several:
            self._figures["moving_share"] = moving_share(training_set.frames, correlation_factor=self._factor)

    def choose(self) -> PairChoice:
        wanted = self._wanted
        if wanted == "auto":
            return self._automatic()
        if wanted == "still":
            return self._still()
        if wanted == "temporal":
            return PairChoice(self._temporal(), "trains on pairs of consecutive frames, as set")
        if wanted == "phase":
            k = phase_count(self._set.calibration.lag_correlations) or 2
            return self._phase(k, f"trains on {_phases(k)}, as set")
        return PairChoice(self._single(wanted), f"trains on {_SPLIT[wanted]}, as set")

    def _automatic(self) -> PairChoice:
        frames = self._set.frames
        if len(frames) > 1 and self._figures["moving_share"] <= _STILL and holds_still(frames):
            return self._still()
        if not self._correlated:
            return self._independent()
        if self._several:
            temporal = self._temporal()
            moving = temporal.figures["moving_between_neighbours"]
            if moving <= _USABLE:
                return PairChoice(
                    temporal,
                    f"trains on pairs of consecutive frames, whose noise is independent; {moving:.0%} of the scene "
                    "moves between them and is left out",
                )
        k = phase_count(self._set.calibration.lag_correlations)
        why = "the scene moves too fast for pairs of frames" if self._several else "there is only one frame"
        if k is not None:
            return self._phase(
                k,
                f"trains on {_phases(k)}, since pixels so far apart share no noise, and {why}; details finer than {k} "
                "pixels are lost",
            )
        return PairChoice(
            self._single("spatial"),
            f"trains on {_SPLIT['spatial']}, although both share noise, since {why}, and even pixels four apart share "
            "it: expect the noise's pattern to stay",
        )

    def _still(self) -> PairChoice:
        pairs = StillTwins(
            self._set.frames,
            self._normaliser,
            patch=self._patch,
            multiple=self._multiple,
            figures=self._figures,
        )
        return PairChoice(pairs, "the scene holds still: trains on each frame and the mean of the others")

    def _temporal(self) -> TemporalTwins:
        return TemporalTwins(
            self._set.frames,
            self._set.indices,
            self._normaliser,
            patch=self._patch,
            multiple=self._multiple,
            correlation_factor=self._factor,
            figures=self._figures,
        )

    def _independent(self) -> PairChoice:
        calibration = self._set.calibration
        if calibration.doubts and (calibration.gain > 0 or self._figures["noise_std"] <= 0):
            return PairChoice(
                self._single("spatial"),
                f"trains on {_SPLIT['spatial']}, since photons cannot be counted",
            )
        split = _SPLIT["mixed"]
        if calibration.gain <= 0:
            split = "each frame split in two, in turn by noise added to one and taken from the other and by its pixels"
        return PairChoice(self._single("mixed"), f"trains on {split}")

    def _phase(self, k: int, words: str) -> PairChoice:
        phases = [split_phases(frame, k) for frame in self._set.frames]
        calibration = calibrate([of_frame[0] for of_frame in phases])
        kind = "spatial" if calibration.doubts else "mixed"
        pairs = self._single(kind, [phase for of_frame in phases for phase in of_frame], calibration)
        return PairChoice(pairs, words, k)

    def _single(
        self,
        kind: str,
        frames: Sequence[NDArray[Any]] | None = None,
        calibration: Calibration | None = None,
    ) -> PairSource:
        """Twins of single frames: those of the channel, or its phases."""
        stack = FrameStack(
            self._set.frames if frames is None else frames,
            self._normaliser,
            patch=self._patch,
            multiple=self._multiple,
            together=False,
            hold_out=len(self._set.frames) >= HELD_OUT_FROM,
        )
        spatial = SpatialTwins(stack, self._figures)
        if kind == "spatial":
            return spatial
        thinned = ThinnedTwins(stack, Thinning.of(calibration or self._set.calibration), self._figures)
        return thinned if kind == "thinned" else MixedTwins(thinned, spatial)


def _phases(k: int) -> str:
    """What the twins of k×k phases are, for people."""
    return f"each frame taken apart into every {_ORDINALS[k]} pixel"
