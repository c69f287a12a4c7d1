"""The blind spot is exact: nothing of a pixel is in its own prediction, and everything around it may be."""

import pytest
import torch

from quietscope.models.blind_spot import BlindSpotNet


def _network(levels=3, width=8, outputs=4, seed=0):
    torch.manual_seed(seed)
    network = BlindSpotNet(outputs, width, levels).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network


@pytest.mark.parametrize("levels", [1, 2, 3, 5])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_a_pixel_never_reaches_its_own_prediction(levels, memory):
    network = _network(levels).to(memory_format=memory)
    side = network.stride * max(2, 16 // network.stride)
    image = torch.rand(1, 1, side, side + network.stride).contiguous(memory_format=memory)
    with torch.inference_mode():
        before = network(image)
        for y, x in [(0, 0), (side - 1, side - 1), (7, 8), (8, 7), (side // 2, side // 2), (3, side - 2)]:
            for value in (-1e3, 0.0, 1.0, 1e4):
                changed = image.clone()
                changed[0, 0, y, x] = value
                after = network(changed)
                assert torch.equal(after[..., y, x], before[..., y, x])
                assert not torch.equal(after, before)


@pytest.mark.parametrize("levels", [1, 3])
def test_the_derivative_by_the_own_pixel_is_nothing_and_by_each_neighbour_something(levels):
    network = _network(levels)
    image = torch.rand(1, 1, 16, 20, requires_grad=True)
    for y, x in [(0, 0), (15, 19), (7, 8), (8, 7), (5, 13)]:
        (gradient,) = torch.autograd.grad(network(image)[0, :, y, x].abs().sum(), image)
        own = gradient[0, 0, y, x].item()
        assert own == 0.0
        around = gradient[0, 0, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        assert int((around == 0).sum()) == 1


def test_the_field_of_view_grows_with_the_levels_on_all_sides():
    reach = []
    for levels in (1, 2, 3, 4):
        network = _network(levels, width=4)
        image = torch.rand(1, 1, 128, 128, requires_grad=True)
        (gradient,) = torch.autograd.grad(network(image)[0, :, 64, 64].sum(), image)
        rows, columns = torch.nonzero(gradient[0, 0], as_tuple=True)
        sides = (64 - rows.min(), rows.max() - 64, 64 - columns.min(), columns.max() - 64)
        reach.append(min(int(side) for side in sides))
    assert reach == sorted(set(reach))


def test_images_need_not_be_square_and_do_not_mix():
    network = _network(3)
    images = torch.rand(3, 1, 8, 24)
    images[2] *= 100
    with torch.inference_mode():
        together = network(images)
        assert together.shape == (3, 4, 8, 24)
        for index in range(3):
            assert torch.allclose(
                network(images[index : index + 1])[0], together[index], rtol=1e-4, atol=1e-4
            )
