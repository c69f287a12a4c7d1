"""Networks: the small U-Net quietscope trains, and the published one, for comparisons only.

The small U-Net has no normalisation layers and a linear output: statistics of a batch or of a tile would
bring back, inside the network, the very scale artefacts that the normalisation rules avoid, and a bounded
output cannot carry true intensities.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from quietscope.models.method import DenoisingNetwork

__all__ = ["DenoisingUNet", "count_weights", "published_unet"]

_SLOPE = 0.1
"""Slope of the leaky rectifiers below zero."""

_REACH = 3
"""Half the side of the trained filter, pixels, without its centre."""


def count_weights(network: nn.Module) -> int:
    """Return the number of trainable weights of `network`."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def _double_conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.LeakyReLU(_SLOPE, inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.LeakyReLU(_SLOPE, inplace=True),
    )


class DenoisingUNet(DenoisingNetwork):
    """Small U-Net without normalisation layers, with a linear output.

    Parameters
    ----------
    base_channels
        Feature maps of the first level; each further level has twice as many.
    levels
        Number of resolutions.
    stem
        Pixel-unshuffle factor in front of the first level: 2 makes every layer four times cheaper.
    filtered
        Begin as a filter and learn what it leaves to be done.

    Notes
    -----
    Input and output are (N, 1, H, W), float32, normalised; H and W are multiples of `stride`. The output is a
    prediction plus the input times a trained `skip` (0 at the start, so that the network begins without the
    noise). With `filtered` a trained 7×7 filter of the input is added, which begins as a Gaussian of σ = 1 pixel, and
    the prediction begins at 0.
    """

    def __init__(
        self, base_channels: int = 16, levels: int = 3, stem: int = 1, *, filtered: bool = False
    ) -> None:
        super().__init__()
        widths = [base_channels * 2**level for level in range(levels)]
        self.stem = stem
        self.levels = levels
        self.encoders = nn.ModuleList()
        inputs = stem * stem
        for width in widths:
            self.encoders.append(_double_conv(inputs, width))
            inputs = width
        self.decoders = nn.ModuleList(
            _double_conv(wide + narrow, narrow)
            for narrow, wide in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], stem * stem, 1)
        self.skip = nn.Parameter(torch.zeros(1))
        self.filter = nn.Parameter(_gaussian(_REACH)) if filtered else None
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=_SLOPE)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.head.weight, std=0.02 if self.filter is None else 0.0)

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this, pixels."""
        return int(self.stem * 2 ** (self.levels - 1))

    def forward(self, image: Tensor) -> Tensor:
        """Denoise a batch (N, 1, H, W) of normalised images."""
        features = functional.pixel_unshuffle(image, self.stem) if self.stem > 1 else image
        skips: list[Tensor] = []
        for level, encoder in enumerate(self.encoders):
            if level:
                features = functional.max_pool2d(features, 2)
            features = encoder(features)
            skips.append(features)
        for decoder, skip in zip(self.decoders, skips[-2::-1], strict=True):
            features = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = decoder(torch.cat((features, skip), dim=1))
        output: Tensor = self.head(features)
        if self.stem > 1:
            output = functional.pixel_shuffle(output, self.stem)
        if self.filter is not None:
            output = output + functional.conv2d(
                functional.pad(image, [_REACH] * 4, mode="replicate"), self.filter
            )
        return output + self.skip * image

    @torch.no_grad()
    def fold_line(self, gain: float, offset: float) -> None:
        """Make the network return ``gain * output + offset`` from now on, at no cost.

        Parameters
        ----------
        gain, offset
            The least-squares line of raw on denoised, in normalised units.
        """
        self.head.weight.mul_(gain)
        assert self.head.bias is not None
        self.head.bias.mul_(gain).add_(offset)
        self.skip.mul_(gain)
        if self.filter is not None:
            self.filter.mul_(gain)


def _gaussian(reach: int) -> Tensor:
    """Gaussian of σ = 1 pixel, shape (1, 1, 2 reach + 1, 2 reach + 1), sum 1."""
    line = torch.exp(-0.5 * torch.arange(-reach, reach + 1).square())
    square = torch.outer(line, line)
    return (square / square.sum())[None, None]


class _PublishedBlock(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, middle: int | None = None) -> None:
        middle = outputs if middle is None else middle
        super().__init__(
            nn.Conv2d(inputs, middle, 3, padding=1),
            nn.BatchNorm2d(middle),
            nn.LeakyReLU(0.02, inplace=True),
            nn.Conv2d(middle, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(0.02, inplace=True),
        )


class _PublishedUNet(nn.Module):
    """Network of SN2N and Adaptive-SN2N as the papers' code is described: 17,266,241 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first = _PublishedBlock(1, 64)
        self.down = nn.ModuleList(
            _PublishedBlock(inputs, outputs)
            for inputs, outputs in ((64, 128), (128, 256), (256, 512), (512, 512))
        )
        self.up = nn.ModuleList(
            _PublishedBlock(inputs, outputs, inputs // 2)
            for inputs, outputs in ((1024, 256), (512, 128), (256, 64), (128, 64))
        )
        self.last = nn.Conv2d(64, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        features = self.first(image)
        skips = [features]
        for block in self.down:
            features = block(functional.max_pool2d(features, 2))
            skips.append(features)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            features = functional.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=True)
            features = block(torch.cat((skip, features), dim=1))
        return torch.sigmoid(self.last(features))


def published_unet() -> nn.Module:
    """Build the published 17,266,241-weight network with random weights, for comparisons only.

    Returns
    -------
    nn.Module
        (N, 1, H, W) -> (N, 1, H, W), H and W multiples of 16.

    Notes
    -----
    Written from the description of Qu et al., Nature Methods 21, 1895 (2024): double 3x3 convolutions with
    batch normalisation and leaky rectifiers of 0.02, four poolings, bilinear up-sampling, a sigmoid at the
    end.
    """
    return _PublishedUNet()
