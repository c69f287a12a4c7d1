"""How far a network looks around: measured on the network itself, whatever it is made of.

A pixel that is no number makes no number of everything that depends on it: convolutions, poolings, rectifiers and
interpolations all pass it on, also where the weight is zero. So one image with one such cell shows what it reaches.
"""

import torch

from quietscope.models.method import DenoisingNetwork

__all__ = ["receptive_field"]

_FIRST = 16
"""Side of the first image tried, strides."""

_LARGEST = 1024
"""Side beyond which nothing is saved by knowing, pixels."""


def receptive_field(network: DenoisingNetwork) -> int | None:
    """Find by how many pixels the output at a pixel may look around.

    Parameters
    ----------
    network
        On the CPU, evaluation mode.

    Returns
    -------
    int or None
        A multiple of the network's stride: output more than this far from the edge of an image does not change when the
        image goes on beyond it. None for a network that looks at the whole image, or further than 500 pixels.
    """
    stride = network.stride
    cells = _FIRST
    while cells * stride <= _LARGEST:
        side, middle = cells * stride, cells // 2
        image = torch.zeros((1, 1, side, side))
        image[..., middle * stride : (middle + 1) * stride, middle * stride : (middle + 1) * stride] = (
            torch.nan
        )
        with torch.inference_mode():
            reached = torch.isnan(network(image))[0, 0]
        reached = reached.reshape(cells, stride, cells, stride).any(dim=3).any(dim=1)
        distances = [(torch.nonzero(reached.any(dim=axis)).flatten() - middle).abs().max() for axis in (0, 1)]
        furthest = int(max(distances))
        if furthest < middle - 1:
            return furthest * stride
        cells *= 2
    return None
