from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quietscope.config.errors import ModelError
from quietscope.models.gaussian import blur
from quietscope.models.tiling import plan

SHAPES = [(512, 512), (101, 77), (300, 257), (64, 64), (1, 90), (90, 1), (1, 1), (33, 700), (256, 257)]


def tiled(frame, layout, function, batch=3):
    padded = layout.pad(frame)
    total = np.zeros(layout.padded, np.float32)
    for numbers in layout.batches(batch):
        tiles = np.empty((len(numbers), *layout.side), np.float32)
        layout.extract(padded, numbers, tiles)
        layout.accumulate(total, numbers, np.stack([function(tile) for tile in tiles]))
    return layout.crop(total)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("tile", "overlap", "stride"), [(64, 0.5, 8), (64, 0.0, 16), (48, 0.75, 4), (60, 0.3, 1)]
)
def test_weights_sum_to_one_everywhere(shape, tile, overlap, stride):
    layout = plan(shape, tile=tile, overlap=overlap, stride=stride)
    result = tiled(np.zeros(shape, np.float32), layout, np.ones_like)
    np.testing.assert_allclose(result, 1, atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_tiles_that_are_not_changed_give_the_frame_back(shape):
    frame = np.random.default_rng(0).normal(100, 10, shape).astype(np.float32)
    layout = plan(shape, tile=64, overlap=0.5, stride=8)
    np.testing.assert_allclose(tiled(frame, layout, np.copy), frame, rtol=1e-6)


@pytest.mark.parametrize("shape", [(256, 256), (203, 311)])
def test_tiles_agree_with_the_whole_frame(shape):
    """A filter whose reach is small beside the tile differs in the outer rim of a tile only, which weighs little."""
    frame = np.random.default_rng(0).normal(100, 10, shape).astype(np.float32)
    layout = plan(shape, tile=128, overlap=0.5, stride=8)
    whole = layout.crop(blur(layout.pad(frame), 1.0))
    difference = tiled(frame, layout, lambda tile: blur(tile, 1.0)) - whole
    reach = 4
    exact = np.ones(layout.padded, bool)
    for start in layout.tops:
        for edge in (start, start + layout.side[0]):
            exact[max(0, edge - reach) : edge + reach] = False
    for start in layout.lefts:
        for edge in (start, start + layout.side[1]):
            exact[:, max(0, edge - reach) : edge + reach] = False
    assert exact.mean() > 0.6
    np.testing.assert_allclose(difference[exact[: shape[0], : shape[1]]], 0, atol=1e-4)
    inner = difference[reach:-reach, reach:-reach]
    # where tiles do differ, the one whose edge is near weighs exp(−2)/(1 + 2·exp(−2)) at the most
    assert np.sqrt(np.mean(inner**2)) < 0.05 * whole.std()


def test_no_seams_at_the_borders_of_tiles():
    """Tiles that disagree by an offset each blend into a smooth field: no step larger than the weights' own slope."""
    layout = plan((512, 512), tile=128, overlap=0.5, stride=8)
    offsets = np.random.default_rng(0).normal(0, 1, layout.count)
    total = np.zeros(layout.padded, np.float32)
    layout.accumulate(
        total,
        range(layout.count),
        np.ones((layout.count, 128, 128), np.float32) * offsets[:, None, None].astype(np.float32),
    )
    spread = np.ptp(offsets)
    # a Gaussian weight of σ = 32 cut at 2σ jumps by exp(−2) of its peak, shared with the overlapping neighbours
    assert np.abs(np.diff(total, axis=0)).max() < 0.13 * spread
    assert np.abs(np.diff(total, axis=1)).max() < 0.13 * spread


def test_tiles_start_on_the_pooling_grid_and_end_with_the_frame():
    layout = plan((1000, 777), tile=256, overlap=0.5, stride=8)
    for starts, length, side in ((layout.tops, 1000, 256), (layout.lefts, 784, 256)):
        assert all(start % 8 == 0 for start in starts)
        assert starts[0] == 0
        assert starts[-1] + side == length
        assert all(0 < b - a <= 128 for a, b in pairwise(starts))


@pytest.mark.parametrize(
    ("shape", "side", "padded", "count"),
    [
        ((512, 512), (256, 256), (512, 512), 9),
        ((100, 100), (104, 104), (104, 104), 1),
        ((1, 1), (8, 8), (8, 8), 1),
        ((1, 600), (8, 256), (8, 600), 4),
        ((256, 256), (256, 256), (256, 256), 1),
    ],
)
def test_small_frames_are_one_tile_of_their_own(shape, side, padded, count):
    layout = plan(shape, tile=256, overlap=0.5, stride=8)
    assert (layout.side, layout.padded, layout.count) == (side, padded, count)


@pytest.mark.parametrize("shape", [(5, 3), (1, 1), (1, 7), (2, 2), (13, 30)])
def test_reflection_works_where_it_is_longer_than_the_frame(shape):
    frame = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    layout = plan(shape, tile=64, overlap=0.5, stride=32)
    mode = "reflect" if min(shape) > 1 else "edge" if shape == (1, 1) else None
    padded = layout.pad(frame)
    assert padded.shape == layout.padded
    np.testing.assert_array_equal(padded[: shape[0], : shape[1]], frame)
    if mode:
        missing = [(0, length - size) for size, length in zip(shape, layout.padded, strict=True)]
        np.testing.assert_array_equal(padded, np.pad(frame, missing, mode=mode))


@pytest.mark.parametrize("most", [1, 2, 4, 8, 100])
def test_batches_are_equal_and_complete(most):
    layout = plan((512, 512), tile=256, overlap=0.5, stride=8)
    batches = list(layout.batches(most))
    assert [number for batch in batches for number in batch] == list(range(9))
    assert max(map(len, batches)) <= most
    assert len(batches) == -(-9 // most)


def test_a_plan_is_made_once_per_shape():
    assert plan((96, 96), tile=64, overlap=0.5, stride=8) is plan((96, 96), tile=64, overlap=0.5, stride=8)


def test_frames_of_another_shape_are_refused():
    with pytest.raises(ModelError, match=r"\(8, 9\)"):
        plan((9, 9), tile=64, overlap=0.5, stride=8).pad(np.zeros((8, 9), np.float32))


@pytest.mark.parametrize(
    ("shape", "tile", "overlap", "stride"),
    [((0, 5), 64, 0.5, 8), ((5, 5), 0, 0.5, 8), ((5, 5), 64, 1.0, 8), ((5, 5), 64, 0.5, 0)],
)
def test_impossible_plans_are_refused(shape, tile, overlap, stride):
    with pytest.raises(ModelError):
        plan(shape, tile=tile, overlap=overlap, stride=stride)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 400), st.integers(1, 400)),
    tile=st.integers(1, 200),
    overlap=st.floats(0, 0.9),
    stride=st.sampled_from([1, 2, 4, 8, 16]),
)
def test_any_plan_covers_every_pixel_with_weight_one(shape, tile, overlap, stride):
    layout = plan(shape, tile=tile, overlap=overlap, stride=stride)
    assert all(side % stride == 0 for side in layout.side)
    for starts, weights, side, length in (
        (layout.tops, layout.weights_y, layout.side[0], layout.padded[0]),
        (layout.lefts, layout.weights_x, layout.side[1], layout.padded[1]),
    ):
        total = np.zeros(length)
        for start, weight in zip(starts, weights, strict=True):
            total[start : start + side] += weight
        np.testing.assert_allclose(total, 1, atol=1e-6)
