"""Settings of the methods beside Adaptive-SN2N."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from quietscope.config.base import Section

__all__ = ["METHOD_NAMES", "FM2SSettings", "Method", "Noise2SRSettings", "Poisson2VoidSettings"]

Method = Literal["adaptive-sn2n", "fm2s", "noise2sr", "poisson2void"]

METHOD_NAMES: Mapping[Method, str] = {
    "adaptive-sn2n": "Adaptive-SN2N",
    "fm2s": "FM2S",
    "noise2sr": "Noise2SR",
    "poisson2void": "Poisson2Void",
}
"""What the authors of a method call it."""


class FM2SSettings(Section):
    """FM2S: learns to undo noise that it adds to median-filtered frames."""

    variant: Literal["v1", "v2"] = "v1"
    """Algorithm of the paper's first version (``v1``) or of its second (``v2``)."""

    microscope: Literal["auto", "confocal", "two-photon", "wide-field"] = "auto"
    """Noise factors of ``v2``; ``auto`` takes those for wide-field where the noise of neighbours is correlated."""

    samples: int = Field(default=25, ge=1, le=10_000)
    """Noisy versions of the frames over the whole of a training of ``v1`` (paper: 25, of 150 steps each)."""

    noise: Literal["published", "calibrated"] = "published"
    """Noise that is added: with the factors of the paper, which were tuned by hand on single captures, or as strong as
    the frames' own."""

    learning_rate: float = Field(default=1e-3, gt=0, le=0.1)
    """Learning rate at the start."""


class Noise2SRSettings(Section):
    """Noise2SR: learns to predict a noisy frame from its own half-size sub-samples."""

    patch: int = Field(default=128, ge=64, le=512, multiple_of=64)
    """Side of the training patches before sub-sampling, pixels (paper: 128)."""

    batch: int = Field(default=4, ge=1, le=256)
    """Patches per training step (paper: 16)."""

    width: int = Field(default=16, ge=8, le=128, multiple_of=8)
    """Feature maps of the network (paper: 48); 16 reached the same PSNR in a quarter of the time."""

    learning_rate: float = Field(default=1e-3, gt=0, le=0.1)
    """Peak learning rate of the zero-shot schedule (the paper's long training takes 1e-4)."""


class Poisson2VoidSettings(Section):
    """Poisson2Void: a blind-spot network and the Poisson statistics of photo-electrons."""

    estimate: Literal["posterior", "map", "prior"] = "posterior"
    """What the exported network gives: the posterior mean, the most probable value given the pixel, or the prior
    mean, which never sees the pixel itself."""

    unit_gain: bool = False
    """Take one grey level for one photo-electron, as the paper does, instead of the calibrated gain and offset."""

    bins: int = Field(default=64, ge=16, le=512)
    """Intensities that the network tells apart (paper: 256)."""

    entropy: float = Field(default=0.01, ge=0, le=1)
    """Weight of the prior's entropy in the loss (paper: 0.01)."""

    width: int = Field(default=16, ge=8, le=96, multiple_of=8)
    """Feature maps of the network (paper: 48)."""

    patch: int = Field(default=128, ge=64, le=512, multiple_of=32)
    """Side of the training patches, pixels (paper: 128); small ones teach the network their edges."""

    batch: int = Field(default=2, ge=1, le=256)
    """Patches per training step (paper: 1)."""

    learning_rate: float = Field(default=3e-3, gt=0, le=0.1)
    """Peak learning rate."""
