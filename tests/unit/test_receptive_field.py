"""What a network is said to look at is all that it looks at."""

import numpy as np
import pytest
import torch
from torch import Tensor

from quietscope.models.fm2s import FM2SNetwork
from quietscope.models.method import DenoisingNetwork
from quietscope.models.networks import DenoisingUNet
from quietscope.models.phase_network import PhaseSplit
from quietscope.models.poisson_network import PoissonNetwork
from quietscope.models.receptive_field import receptive_field


def _poisson() -> DenoisingNetwork:
    levels = np.linspace(1, 10, 8) ** 2
    return PoissonNetwork(levels, (4.0, 1.0), electrons_per_unit=50.0, electrons_at_zero=1.0, width=4)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: DenoisingUNet(4, 1, 1), 2),
        (lambda: DenoisingUNet(4, 3, 1), 24),
        (lambda: DenoisingUNet(4, 3, 2), 48),
        (lambda: PhaseSplit(DenoisingUNet(4, 3, 1), 2), 48),
        (lambda: FM2SNetwork((5, 3, 5), 2), 5),
        (_poisson, 72),
    ],
)
def test_pixels_further_away_do_not_matter_and_the_edge_of_the_image_is_one_of_them(build, expected):
    """A window gives what the whole image gives, up to its receptive field from the window's edges."""
    torch.manual_seed(0)
    network = build().eval()
    assert receptive_field(network) == expected
    stride = network.stride
    side = (2 * expected // stride + 4) * stride
    image = torch.rand(1, 1, side + 6 * stride, side + 6 * stride)
    window = slice(3 * stride, 3 * stride + side)
    inner = slice(expected, side - expected)
    with torch.inference_mode():
        whole = network(image)[..., window, window][..., inner, inner]
        alone = network(image[..., window, window])[..., inner, inner]
    np.testing.assert_allclose(alone, whole, atol=1e-4 * float(whole.abs().max()))


class _Mean(DenoisingNetwork):
    """Looks at the whole image."""

    @property
    def stride(self) -> int:
        return 1

    def forward(self, image: Tensor) -> Tensor:
        return image - image.mean(dim=(2, 3), keepdim=True)


def test_a_network_that_looks_at_everything_has_none():
    assert receptive_field(_Mean()) is None
