"""FM2S: a network of three convolutions learns to undo noise that is added to median-filtered frames.

Source: Liu, Teng, Ma and Jiang, arXiv 2412.10031, written anew from the description; ``v1`` and ``v2`` are the
algorithms of its first (2024) and second version (2025).

The noise factors are constants tuned on 8-bit images divided by 255. So frames of uint8 are divided by 255, and
all others go to the series' own scale (rule ``stream``), on which structure fills the same range. Three things
differ from the published code, none of them in the published numbers: frames larger than 512 pixels are
learnt in random windows of that size, one per noisy version; noise is clipped where the camera clips, not at the
scale's end; and the output is not clipped at all, since whoever writes pixels does that.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from quietscope.config.settings import Settings
from quietscope.models.fm2s_noise import BlockNoise, MeasuredNoise
from quietscope.models.hardware import move, trains_in_bfloat16
from quietscope.models.median import median
from quietscope.models.method import Preparation, TrueOutput
from quietscope.models.noise import measure_noise
from quietscope.models.normalisation import Normaliser, StreamScale, estimate_stream_scale
from quietscope.models.protocols import TrainingSet

__all__ = ["FM2SNetwork", "prepare"]

Float32 = NDArray[np.float32]

_SLOPE = 1e-3
"""Slope of the leaky rectifiers below zero."""

_LARGEST = 512
"""Longest side of what is learnt at a time, pixels: the size of the paper's images."""

_EXAMPLE = 128
"""Side of the examples, pixels."""


@dataclass(frozen=True)
class _Recipe:
    """The constants of one variant.

    Parameters
    ----------
    kernels
        Sides of the three convolutions.
    channels
        Copies of the image that get noise of their own (λ).
    median
        Side of the median's window, pixels.
    gaussian
        Standard deviation of the Gaussian noise at a block's level of 1, 8-bit grey levels.
    poisson
        Photo-electrons at the block's level.
    photons
        Photo-electrons at 1 of the noise that the whole image gets in the end.
    levels
        Bounds of a block's level.
    samples
        Noisy versions in a whole training.
    progressive
        Whether the first version is the raw frame itself and the learning rate stays, instead of falling to a
        quarter at 40 % and again at 80 %.
    """

    kernels: tuple[int, int, int]
    channels: int
    median: int
    gaussian: float
    poisson: float
    photons: float
    levels: tuple[float, float]
    samples: int
    progressive: bool


def _first_version(samples: int) -> _Recipe:
    return _Recipe((3, 3, 3), 2, 3, 200, 30, 60, (0.01, 0.20), samples, progressive=False)


def _second_version(channels: int, side: int, gaussian: float, poisson: float, photons: float) -> _Recipe:
    levels = (1e-5, 0.15)
    # 5 steps on the raw frame and 5 on each of 450 noisy versions
    return _Recipe((5, 3, 5), channels, side, gaussian, poisson, photons, levels, 451, progressive=True)


_SECOND_VERSION = {
    "confocal": _second_version(2, 3, 200, 30, 70),
    "two-photon": _second_version(2, 3, 175, 30, 60),
    "wide-field": _second_version(1, 11, 220, 45, 2000),
}


class FM2SNetwork(TrueOutput):
    """Three convolutions on an image that is repeated along the channels; the output is their mean.

    Parameters
    ----------
    kernels
        Sides of the convolutions.
    channels
        How often the image is repeated.

    Notes
    -----
    Input and output are (N, 1, H, W), float32, normalised, of any size.
    """

    def __init__(self, kernels: tuple[int, int, int] = (3, 3, 3), channels: int = 2) -> None:
        super().__init__()
        self.channels = channels
        widths = (channels, 24, 12, channels)
        first, second, third = (
            nn.Conv2d(inputs, outputs, side, padding=side // 2)
            for inputs, outputs, side in zip(widths, widths[1:], kernels, strict=False)
        )
        rectify = nn.LeakyReLU(_SLOPE)
        self.body = nn.Sequential(first, rectify, second, rectify, third)

    @property
    def stride(self) -> int:
        """Any size will do."""
        return 1

    def forward(self, image: Tensor) -> Tensor:
        """Denoise a batch (N, 1, H, W) of normalised images."""
        output = self.body(image.repeat(1, self.channels, 1, 1))
        return self.true(output.mean(dim=1, keepdim=True))


class _SyntheticNoise:
    """Distance of what the network makes of noisy versions from the median-filtered frame they were made of.

    It is told the share of the budget by `rate`, and makes the next version whenever its turn has come: so a
    short training sees as many versions as a long one.

    Parameters
    ----------
    network
        On its device.
    frames
        Normalised frames (Y, X), used in turn.
    noise
        What is added to them.
    recipe
        The variant's constants.
    bfloat16
        Multiply in bfloat16.
    """

    def __init__(
        self,
        network: FM2SNetwork,
        frames: list[Float32],
        noise: BlockNoise | MeasuredNoise,
        recipe: _Recipe,
        *,
        bfloat16: bool,
    ) -> None:
        self._network = network
        self._bfloat16 = bfloat16
        self._frames = frames
        self._noise = noise
        self._recipe = recipe
        self._device = next(network.parameters()).device
        self._medians: dict[int, Float32] = {}
        self._share = 0.0
        self._number = -1
        self._input = self._target = torch.empty(0)

    def rate(self, share: float) -> float:
        """Learning rate over its start, and the share of the budget that the next loss belongs to."""
        self._share = share
        if self._recipe.progressive:
            return 1.0
        return 0.25 ** sum(share >= milestone for milestone in (0.4, 0.8))

    def loss(self, rng: np.random.Generator) -> Tensor:
        """Mean squared distance; see `quietscope.models.method.Objective`."""
        number = int(self._share * self._recipe.samples + 1e-9)
        if number != self._number:
            self._number = number
            self._draw(rng)
        with torch.autocast(self._device.type, torch.bfloat16) if self._bfloat16 else nullcontext():
            output = self._network.body(self._input)
        return functional.mse_loss(output.float(), self._target)

    def validate(self) -> None:
        """Nothing is held out: targets are no measure of the truth."""

    def _draw(self, rng: np.random.Generator) -> None:
        index = self._number % len(self._frames)
        frame = self._frames[index]
        if index not in self._medians:
            self._medians[index] = median(frame, self._recipe.median)
        top, left = (int(rng.integers(max(0, side - _LARGEST) + 1)) for side in frame.shape)
        window = (slice(top, top + _LARGEST), slice(left, left + _LARGEST))
        target = np.repeat(self._medians[index][window][None], self._recipe.channels, axis=0)
        if self._recipe.progressive and self._number == 0:
            noisy = np.repeat(frame[window][None], self._recipe.channels, axis=0)
        else:
            noisy = self._noise.add(target, rng)
        self._input, self._target = (
            torch.from_numpy(image)[None].to(self._device, memory_format=torch.channels_last)
            for image in (noisy, target)
        )


def prepare(training_set: TrainingSet, settings: Settings, device: torch.device) -> Preparation:
    """Choose scale, variant and noise factors for a channel.

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
    """
    options = settings.fm2s
    frames = training_set.frames
    stream = estimate_stream_scale(frames)
    if frames[0].dtype == np.uint8:
        stream = StreamScale(0.0, 255.0, stream.noise_std)
    normaliser = Normaliser("stream", stream)
    normalised = [
        ((np.asarray(f, np.float32) - stream.offset) / stream.scale).astype(np.float32) for f in frames
    ]
    recipe = _first_version(options.samples)
    if options.variant == "v2":
        microscope = options.microscope
        if microscope == "auto":
            microscope = "confocal" if measure_noise(frames).independent else "wide-field"
        recipe = _SECOND_VERSION[microscope]
    network = FM2SNetwork(recipe.kernels, recipe.channels)
    network = move(network, device)
    bfloat16 = trains_in_bfloat16(settings.training.precision, device)
    limits = _limits(frames[0].dtype, stream)
    noise: BlockNoise | MeasuredNoise = BlockNoise(
        recipe.gaussian, recipe.poisson, recipe.photons, recipe.levels, limits
    )
    if options.noise == "calibrated":
        noise = MeasuredNoise.of(training_set.calibration, stream, limits)
    objective = _SyntheticNoise(network, normalised, noise, recipe, bfloat16=bfloat16)
    return Preparation(
        network=network,
        objective=objective,
        normaliser=normaliser,
        pairs="synthetic",
        learning_rate=options.learning_rate,
        examples=np.stack([frame[:_EXAMPLE, :_EXAMPLE] for frame in normalised[:4]]),
        rate=objective.rate,
        betas=(0.9, 0.999),
        largest_gradient=float("inf"),
        setting="fm2s.learning_rate",
        figures={"bfloat16": float(bfloat16)},
    )


def _limits(dtype: np.dtype[Any], stream: StreamScale) -> tuple[float, float]:
    if dtype.kind == "f":
        return -np.inf, np.inf
    values = np.iinfo(dtype)
    return (values.min - stream.offset) / stream.scale, (values.max - stream.offset) / stream.scale
