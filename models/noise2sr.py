"""Noise2SR: a network learns to predict a noisy frame from its own half-size sub-samples.

Source: Tian et al., MICCAI 2022, arXiv 2209.06411, written anew from the description. One random pixel of every
2x2 cell makes a half-size image; the network predicts the full size from it, and is judged on the three pixels
of each cell that it has not seen. The noise of pixels must be independent. In use the whole frame goes in, and the
image of twice its size that comes out is reduced by the mean of 2x2 pixels, which keeps every pixel where it was
(the published reduction shifts the image by up to half a pixel).
"""

from contextlib import nullcontext
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from quietscope.config.settings import Settings
from quietscope.models.hardware import move, trains_in_bfloat16
from quietscope.models.method import Preparation, TrueOutput
from quietscope.models.normalisation import Normaliser
from quietscope.models.patches import FrameStack, Places, turn
from quietscope.models.protocols import TrainingSet

__all__ = ["Noise2SRNetwork", "prepare"]

Float32 = NDArray[np.float32]

_POOLINGS = 5

_SLOPE = 0.1
"""Slope of the last leaky rectifier below zero."""


def _convolutions(*widths: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
    return layers


def _doubling(width: int) -> nn.Module:
    return nn.ConvTranspose2d(width, width, 3, stride=2, padding=1, output_padding=1)


class Noise2SRNetwork(TrueOutput):
    """U-Net with shared blocks, and a head that doubles the size.

    Parameters
    ----------
    width
        Feature maps of the encoder; the paper's 48 give 1,112,673 weights.

    Notes
    -----
    `super_resolve` is what is trained, (N, 1, H, W) -> (N, 1, 2 H, 2 W); `forward` keeps the size. H and W are
    multiples of `stride`, float32, normalised.
    """

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        wide, last, features = 2 * width, 8 * width // 3, 4 * width // 3
        self.first = nn.Sequential(*_convolutions(1, width, width))
        self.down = nn.Sequential(*_convolutions(width, width))
        self.bottom = nn.Sequential(*_convolutions(width, width), _doubling(width))
        self.up_first = nn.Sequential(*_convolutions(wide, wide, wide), _doubling(wide))
        self.up = nn.Sequential(*_convolutions(wide + width, wide, wide), _doubling(wide))
        self.last = nn.Sequential(
            *_convolutions(wide + 1, last, last),
            nn.Conv2d(last, features, 3, padding=1),
            nn.LeakyReLU(_SLOPE, inplace=True),
        )
        self.head = nn.Sequential(
            nn.Conv2d(features, 4 * features, 3, padding=1),
            nn.PixelShuffle(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(features, features, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(features, features, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(features, 1, 1),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this, pixels."""
        return 1 << _POOLINGS

    def super_resolve(self, image: Tensor) -> Tensor:
        """Predict the image of twice the size."""
        features = functional.max_pool2d(self.first(image), 2)
        skips = [features]
        for _ in range(_POOLINGS - 1):
            features = functional.max_pool2d(self.down(features), 2)
            skips.append(features)
        features = self.up_first(torch.cat((self.bottom(features), skips[-2]), dim=1))
        for skip in skips[-3::-1]:
            features = self.up(torch.cat((features, skip), dim=1))
        output: Tensor = self.head(self.last(torch.cat((features, image), dim=1)))
        return output

    def forward(self, image: Tensor) -> Tensor:
        """Denoise a batch (N, 1, H, W) of normalised images."""
        return self.true(functional.avg_pool2d(self.super_resolve(image), 2))


class _SubSampling:
    """Mean squared error of the pixels predicted from one random pixel of each 2x2 cell.

    Parameters
    ----------
    network
        On its device.
    stack
        Frames to cut patches from.
    batch
        Patches per step.
    bfloat16
        Multiply in bfloat16.
    """

    def __init__(self, network: Noise2SRNetwork, stack: FrameStack, *, batch: int, bfloat16: bool) -> None:
        self._network = network
        self._stack = stack
        self._batch = batch
        self._bfloat16 = bfloat16
        self._device = next(network.parameters()).device

    def loss(self, rng: np.random.Generator) -> Tensor:
        """Loss of one random batch; see `quietscope.models.method.Objective`."""
        stack, side = self._stack, self._stack.patch
        patches = _normalised(stack, _random_places(stack, self._batch, rng))
        patches = turn(patches, rng.integers(8, size=self._batch))
        picks = torch.from_numpy(rng.integers(4, size=(self._batch, 1, side // 2, side // 2)))
        picks = picks.to(self._device)
        truth = functional.pixel_unshuffle(torch.from_numpy(patches)[:, None].to(self._device), 2)
        seen = truth.gather(1, picks).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16) if self._bfloat16 else nullcontext():
            predicted = self._network.super_resolve(seen)
        unseen = torch.ones_like(truth).scatter_(1, picks, 0)
        squares = (functional.pixel_unshuffle(predicted.float(), 2) - truth).square()
        return (unseen * squares).sum() / unseen.sum()

    def validate(self) -> None:
        """Nothing is held out: a single frame is needed as a whole, and every step brings new sub-samples."""


def prepare(training_set: TrainingSet, settings: Settings, device: torch.device) -> Preparation:
    """Build network and sub-sampling for a channel.

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
    options = settings.noise2sr
    network = move(Noise2SRNetwork(options.width), device)
    normaliser = Normaliser.calibrate("stream", training_set.frames)
    stack = FrameStack(
        training_set.frames, normaliser, patch=options.patch, multiple=2 * network.stride, together=False
    )
    bfloat16 = trains_in_bfloat16(settings.training.precision, device)
    return Preparation(
        network=network,
        objective=_SubSampling(network, stack, batch=options.batch, bfloat16=bfloat16),
        normaliser=normaliser,
        pairs="sub-sampled",
        learning_rate=options.learning_rate,
        examples=_normalised(stack, stack.held_out_places(4)),
        setting="noise2sr.learning_rate",
        figures={"bfloat16": float(bfloat16)},
    )


def _random_places(stack: FrameStack, count: int, rng: np.random.Generator) -> Places:
    """Draw places anywhere, also where the stack holds rows out."""
    tops, lefts = (rng.integers(max(1, side - stack.patch + 1), size=count) for side in stack.shape)
    return Places(rng.integers(stack.count, size=count), tops, lefts)


def _normalised(stack: FrameStack, places: Places) -> Float32:
    offset, scale = stack.scales(places)
    patches: Float32 = (stack.cut(places, repaired=True) - offset) / scale
    return patches
