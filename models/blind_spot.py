"""A network that predicts every pixel from its surroundings and never sees the pixel itself.

Source: Laine, Karras, Lehtinen and Aila, "High-quality self-supervised deep image denoising" (NeurIPS 2019),
written anew from the description. One U-Net whose convolutions look upwards only is given the image in four
directions; its features, moved on by one row, hold everything above, below, left and right of a pixel, and
1×1 convolutions join them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["BlindSpotNet"]

_SLOPE = 0.1
"""Slope of the leaky rectifiers below zero."""


class BlindSpotNet(nn.Module):
    """U-Net with a blind spot, (N, 1, H, W) -> (N, outputs, H, W).

    Parameters
    ----------
    outputs
        Channels of the output, linear.
    width
        Feature maps of each direction.
    levels
        Number of resolutions.

    Notes
    -----
    The output at a pixel depends on every pixel around it and not on the pixel itself, exactly: not one
    multiplication has it as a factor. H and W are multiples of `stride`. Directions along columns are made by
    exchanging the axes, so that they form a second batch: images need not be square.
    """

    def __init__(self, outputs: int, width: int = 32, levels: int = 4) -> None:
        super().__init__()
        self.levels = levels
        self.first = _UpwardConv(1, width)
        self.encoders = nn.ModuleList(_UpwardConv(width, width) for _ in range(levels))
        self.decoders = nn.ModuleList(
            nn.Sequential(
                _UpwardConv(2 * width if level else width + 1, width),
                _UpwardConv(width, width),
            )
            for level in reversed(range(levels - 1))
        )
        self.join = nn.Conv2d(4 * width, 2 * width, 1)
        self.head = nn.Conv2d(2 * width, outputs, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=_SLOPE)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.head.weight, std=0.02)

    @property
    def stride(self) -> int:
        """Height and width must be multiples of this, pixels."""
        return int(2 ** (self.levels - 1))

    def forward(self, image: Tensor) -> Tensor:
        """Predict every pixel of a batch (N, 1, H, W) from what is around it."""
        along_rows = self._above(torch.cat((image, image.flip(2))))
        turned = image.transpose(2, 3)
        along_columns = self._above(torch.cat((turned, turned.flip(2)))).transpose(2, 3)
        count = image.shape[0]
        above, below = along_rows[:count], along_rows[count:].flip(2)
        left, right = along_columns[:count], along_columns[count:].flip(3)
        features = torch.cat((above, below, left, right), dim=1)
        output: Tensor = self.head(functional.leaky_relu(self.join(features), _SLOPE))
        return output

    def _above(self, image: Tensor) -> Tensor:
        """Features of every pixel from the rows above it."""
        features = self.first(image)
        skips = [image]
        for level, encoder in enumerate(self.encoders):
            if level:
                features = functional.max_pool2d(_down(features), 2)
            features = encoder(features)
            if level:
                skips.append(features)
        for decoder, skip in zip(self.decoders, skips[-2::-1], strict=True):
            features = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = decoder(torch.cat((features, skip), dim=1))
        return _down(features)


class _UpwardConv(nn.Module):
    """3×3 convolution whose window ends in the pixel's own row, and a leaky rectifier."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3)

    def forward(self, features: Tensor) -> Tensor:
        return functional.leaky_relu(self.conv(functional.pad(features, (1, 1, 2, 0))), _SLOPE)


def _down(features: Tensor) -> Tensor:
    """Move everything one row downwards."""
    return functional.pad(features, (0, 0, 1, -1))
