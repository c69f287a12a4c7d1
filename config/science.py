"""Settings of the science: method, training, gate, tiles and runtime."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from quietscope.config.base import Section

__all__ = [
    "AdaptiveSN2NSettings",
    "DriftSettings",
    "GateSettings",
    "RuntimeSettings",
    "TilingSettings",
    "TrainingSettings",
    "TrustSettings",
]

Normalisation = Literal["stream", "image", "patch", "published", "noise", "minmax"]


class AdaptiveSN2NSettings(Section):
    """Adaptive-SN2N: self-inspired twins with risk-aware adaptive normalisation."""

    normalisation: Normalisation = "stream"
    """Scale of each patch: one affine map for the series (``stream``), one per image (``image``), one per
    patch (``patch``), or per patch unless it is at risk (``published`` thresholds, or ``noise``-relative). ``minmax``
    is per patch without the bounds that all others have: it makes structure of empty background, for comparisons."""

    pairs: Literal["auto", "mixed", "spatial", "thinned", "temporal", "still", "phase"] = "auto"
    """Pairs to train on: twins from 2×2 blocks of single frames (``spatial``), the photo-electrons of single frames
    dealt out (``thinned``), both in turn (``mixed``), neighbouring frames (``temporal``), a frame and the mean of all
    others (``still``), twins of interleaved phases (``phase``), or what noise and movement allow (``auto``)."""

    loss: Literal["l2", "l1"] = "l2"
    """Distance between a prediction and its twin. L1 estimates the median and is biased at few photons."""

    self_consistency: float = Field(default=0.0, ge=0, le=2)
    """Weight λ of the distance between both twins' predictions; higher is smoother."""

    patch: int = Field(default=64, ge=16, le=512, multiple_of=8)
    """Side of the training patches, pixels."""

    batch: int = Field(default=16, ge=1, le=256)
    """Patches per training step."""

    base_channels: int = Field(default=16, ge=4, le=128)
    """Feature maps of the first level of the network."""

    levels: int = Field(default=3, ge=1, le=5)
    """Levels of the U-Net."""

    stem: Literal[1, 2, 4] = 2
    """Pixel-unshuffle factor in front of the network: 1 works at full resolution, which takes three times as long."""

    residual: Literal["pixel", "filter"] = "filter"
    """What the network's prediction is added to: the pixel times a trained factor that begins at 0, or a trained 7×7
    filter that begins as a Gaussian as well."""

    learning_rate: float = Field(default=2e-3, gt=0, le=0.1)
    """Peak learning rate."""


class TrainingSettings(Section):
    """When and how long to train."""

    frames: int = Field(default=10, ge=1, le=1000)
    """Number of first usable frames of each channel to train on."""

    budget_s: float = Field(default=45.0, gt=0, le=86400)
    """Longest time to train one channel, seconds."""

    min_steps: int = Field(default=200, ge=0)
    """Steps that training may take up to three times `budget_s` for, when the machine is busy with other things."""

    max_steps: int | None = Field(default=None, ge=1)
    """Longest training of one channel in steps; none means the time budget alone ends it."""

    seed: int = Field(default=0, ge=0)
    """Seed of patches, augmentation and weights."""

    model: Path | None = None
    """Model to use instead of training: an ONNX file, or a folder with ``c0.onnx``, ``c1.onnx``, …, one for each
    channel. The gate judges it on this series all the same."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of training; ``auto`` takes bfloat16 where the hardware multiplies it natively."""

    threads: int = Field(default=0, ge=0, le=256)
    """CPU threads for training; 0 means half of them beside a recording, which needs the others, and all offline."""


class GateSettings(Section):
    """What a model must prove before it goes live."""

    max_parity_error: float = Field(default=1e-4, gt=0, le=0.1)
    """Largest |ONNX − PyTorch| over the scale of the frames."""

    max_slope_error: float = Field(default=0.03, gt=0, le=0.5)
    """Largest distance from 1 of the slope of held-out raw on denoised."""

    max_mean_shift: float = Field(default=0.01, gt=0, le=0.5)
    """Largest change of the frame mean, as a share of (p99.9 − offset)."""

    max_noise_std_ratio: float = Field(default=0.3, gt=0, le=1)
    """Largest output standard deviation when pure noise goes in, over the noise's own."""

    max_twin_correlation: float = Field(default=0.3, gt=0, le=1)
    """Twin correlation above which frames t, t+1 take the place of spatial twins."""


class TrustSettings(Section):
    """How far each denoised frame is trusted: a light, a map, figures."""

    enabled: bool = True
    """Compare every denoised frame with its raw frame."""

    false_alarms: float = Field(default=0.01, gt=0, le=0.5)
    """Share of faultless frames that may be doubted; all limits follow from it."""


class DriftSettings(Section):
    """What is done when the pictures are no longer like those that the model was trained on."""

    retrain: Literal["off", "offer", "auto"] = "offer"
    """Nothing (``off``), say it in words (``offer``), or train a new model while the old one goes on (``auto``). The
    command ``quietscope control RUN retrain`` works with all of them."""

    frames: int = Field(default=5, ge=1, le=10_000)
    """Frames of a channel that must have drifted one after the other."""

    brightness: float = Field(default=2.0, gt=1, le=1000)
    """Factor by which the light of the specimen may have become less or more."""

    sharpness: float = Field(default=1.5, gt=1, le=1000)
    """Factor by which the sharpness may have become less or more."""

    most: int = Field(default=3, ge=1, le=1000)
    """How often ``auto`` trains a channel again in one run."""

    apart_s: float = Field(default=300.0, ge=0, le=1_000_000)
    """Least time between two trainings of a channel that ``auto`` starts, seconds."""


class TilingSettings(Section):
    """How a frame is cut for the network and put together again."""

    tile: int = Field(default=320, ge=32, le=4096, multiple_of=16)
    """Side of a tile, pixels."""

    overlap: float = Field(default=0.25, ge=0, lt=0.9)
    """Least share of a tile that overlaps its neighbour. The published 0.5 with tiles of 256 cost 1.4 to
    1.8 times as much for seams that are no smaller (0.028 against 0.024 grey levels, root mean square)."""

    batch: int = Field(default=0, ge=0, le=256)
    """Tiles per call of the network; 0 takes 8 on a GPU, and as many as have 128×128 pixels on a CPU (one to eight),
    where more were measured to be slower."""

    adaptive: bool = True
    """Blend tiles only where patches have scales of their own; what shares one scale is denoised in one pass, which
    gives the same picture for less. Off: everything is tiled, as published."""


class RuntimeSettings(Section):
    """How the exported network is run."""

    provider: Literal["auto", "tensorrt", "cuda", "directml", "coreml", "cpu", "openvino"] = "auto"
    """What runs the network: a provider of onnxruntime, or OpenVINO (an extra). ``auto`` takes the one that a short
    measurement on this machine finds fastest, of those that compute what onnxruntime's CPU provider computes."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic inside the network; bfloat16 needs OpenVINO and a CPU that multiplies it (AMX, AVX-512 BF16)."""

    threads: int = Field(default=0, ge=0, le=256)
    """CPU threads of the network; 0 means all."""

    @model_validator(mode="after")
    def _bfloat16_is_for_openvino(self) -> "RuntimeSettings":
        if self.precision == "bfloat16" and self.provider not in {"auto", "openvino"}:
            msg = (
                f"precision 'bfloat16' needs provider 'openvino' or 'auto', and provider is {self.provider!r}; "
                "set precision = 'auto'"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _threads_are_for_cpu(self) -> "RuntimeSettings":
        if self.threads and self.provider in {"tensorrt", "cuda", "directml"}:
            msg = (
                f"threads applies to provider 'cpu' or 'auto' only, and provider is {self.provider!r}; "
                "set threads = 0"
            )
            raise ValueError(msg)
        return self
