"""Facts about the networks."""

import numpy as np
import pytest
import torch
from torch import nn

from quietscope.models.networks import DenoisingUNet, count_weights, published_unet


def test_published_network_has_the_published_number_of_weights():
    network = published_unet().eval()
    assert count_weights(network) == 17_266_241
    with torch.inference_mode():
        output = network(torch.rand(1, 1, 64, 48))
    assert output.shape == (1, 1, 64, 48)
    assert output.min() > 0
    assert output.max() < 1


@pytest.mark.parametrize("stem", [1, 2, 4])
@pytest.mark.parametrize("levels", [1, 2, 4])
def test_runs_on_multiples_of_its_stride(stem, levels):
    network = DenoisingUNet(4, levels, stem)
    assert network.stride == stem * 2 ** (levels - 1)
    image = torch.rand(2, 1, 3 * network.stride, 5 * network.stride)
    with torch.inference_mode():
        assert network(image).shape == image.shape


def test_there_are_no_normalisation_layers_and_the_output_is_not_bounded():
    network = DenoisingUNet(8, 3)
    kinds = {type(module).__name__ for module in network.modules()}
    assert not {kind for kind in kinds if "Norm" in kind}
    network.fold_line(1.0, -40.0)
    with torch.inference_mode():
        assert network(torch.rand(1, 1, 16, 16)).max() < -30


def test_each_image_of_a_batch_is_denoised_by_itself():
    network = DenoisingUNet(8, 3).eval()
    images = torch.rand(3, 1, 32, 32)
    images[2] *= 100
    with torch.inference_mode():
        together = network(images)
        for index in range(3):
            assert torch.allclose(
                network(images[index : index + 1])[0], together[index], rtol=1e-4, atol=1e-4
            )


@pytest.mark.parametrize("stem", [1, 2])
def test_with_a_filter_it_begins_as_a_gaussian_blur_that_keeps_edges_and_intensities(stem):
    network = DenoisingUNet(4, 2, stem, filtered=True)
    image = 3 + torch.zeros(1, 1, 32, 32)
    image[0, 0, 16, 16] = 103
    with torch.inference_mode():
        output = network(image)[0, 0]
    assert torch.allclose(output[0, :], torch.full((32,), 3.0))
    assert float(output.sum() - 3 * 32 * 32) == pytest.approx(100, rel=1e-4)
    assert float((output[16, 17] - 3) / (output[16, 16] - 3)) == pytest.approx(np.exp(-0.5), rel=1e-4)


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("stem", [1, 2])
def test_folding_a_line_is_the_same_as_applying_it(stem, filtered):
    network = DenoisingUNet(4, 2, stem, filtered=filtered)
    with torch.no_grad():
        network.skip.fill_(0.3)
        nn.init.normal_(network.head.weight)
    image = torch.rand(1, 1, 16, 16)
    with torch.inference_mode():
        before = network(image)
        network.fold_line(1.25, -0.5)
        assert torch.allclose(network(image), 1.25 * before - 0.5, atol=1e-5)
