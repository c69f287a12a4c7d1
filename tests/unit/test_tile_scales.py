"""What is measured on the whole frame at once is what each tile by itself would give."""

import numpy as np
import pytest

from quietscope.models.normalisation import Normaliser
from quietscope.models.row_quantiles import row_quantiles
from quietscope.models.tile_scales import tile_scales
from quietscope.models.tiling import plan
from quietscope.models.twin_statistics import twin_statistics, window_statistics


@pytest.fixture
def scene():
    """Empty background, structure on the left, one bright spot."""
    rng = np.random.default_rng(4)
    y, x = np.indices((200, 150))
    light = np.full((200, 150), 100.0)
    light[:, :50] += 400 * (1 + np.sin(x / 5) * np.sin(y / 5))[:, :50]
    light[120:123, 110:113] = 20_000
    return rng.poisson(light).astype(np.float32)


def _tiles(layout, padded):
    tiles = np.empty((layout.count, *layout.side), np.float32)
    layout.extract(padded, range(layout.count), tiles)
    return tiles


@pytest.mark.parametrize("tile", [32, 64, 100, 320])
@pytest.mark.parametrize("stride", [2, 4, 8])
def test_windows_have_the_statistics_of_their_pixels(scene, tile, stride):
    layout = plan(scene.shape, tile=tile, overlap=0.5, stride=stride)
    padded = layout.pad(scene)
    found = window_statistics(padded, layout.tops, layout.lefts, layout.side)
    expected = twin_statistics(_tiles(layout, padded))
    assert found.blocks == expected.blocks
    for name in ("variance", "fine", "coarse"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-4)


def test_windows_that_begin_within_a_block_have_none(scene):
    assert window_statistics(scene, (0, 33), (0,), (64, 64)) is None


@pytest.mark.parametrize("side", [(1, 1), (2, 2), (1, 40)])
def test_tiny_windows_count_as_free_of_noise(side):
    found = window_statistics(np.ones((40, 40), np.float32), (0,), (0,), side)
    expected = twin_statistics(np.ones((1, *side), np.float32))
    assert (found.variance, found.fine, found.coarse) == (
        expected.variance,
        expected.fine,
        expected.coarse,
    )


@pytest.mark.parametrize("stride", [1, 8])
@pytest.mark.parametrize("rule", ["noise", "patch", "published", "minmax", "stream", "image"])
def test_a_tile_has_the_scale_that_it_would_have_alone(scene, rule, stride):
    normaliser = Normaliser.calibrate(rule, [scene])
    layout = plan(scene.shape, tile=62 if stride == 1 else 64, overlap=0.5, stride=stride)
    padded = layout.pad(scene)
    offset, scale = tile_scales(normaliser, layout, padded, scene)
    expected = normaliser.parameters(_tiles(layout, padded), scene)
    np.testing.assert_allclose(offset, expected[0], rtol=1e-5)
    np.testing.assert_allclose(scale, expected[1], rtol=1e-5)
    if rule == "noise":
        shared = normaliser.shared(offset, scale)
        assert shared.any()
        assert not shared.all()


@pytest.mark.parametrize("number", [1, 2, 1023, 1024])
def test_quantiles_of_rows_are_those_of_numpy(number):
    values = np.random.default_rng(0).normal(100, 10, (5, number)).astype(np.float32)
    shares = (0.0, 0.001, 0.5, 0.999, 1.0)
    expected = np.quantile(values, shares, axis=1)
    np.testing.assert_allclose(np.stack(row_quantiles(values, shares)), expected, rtol=1e-6)


def test_the_weight_of_tiles_is_the_sum_of_their_weights():
    layout = plan((101, 150), tile=64, overlap=0.5, stride=8)
    some = [0, 2, 3, layout.count - 1]
    expected = np.zeros(layout.padded, np.float32)
    layout.accumulate(expected, some, np.ones((len(some), *layout.side), np.float32))
    np.testing.assert_allclose(layout.weight_of(some), expected, rtol=1e-5)
    np.testing.assert_allclose(layout.weight_of(range(layout.count)), 1, rtol=1e-5)
