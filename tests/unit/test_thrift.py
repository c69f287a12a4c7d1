"""Cheaper tiles: found where there are any, and not where one pass takes the whole frame."""

import numpy as np
import pytest

from quietscope.config.science import RuntimeSettings, TilingSettings
from quietscope.models.denoiser import Denoiser
from quietscope.models.thrift import thrift

TILES = TilingSettings(tile=64, overlap=0.5)
RUNTIME = RuntimeSettings(provider="cpu", threads=1)


@pytest.mark.parametrize("shape", [(200, 333), (512, 512), (2048, 2048)])
def test_every_way_is_cheaper_than_the_one_before(filter_model, shape):
    denoiser = Denoiser(filter_model(), TILES, RUNTIME)
    found = thrift(denoiser, TILES, shape)
    costs = [
        denoiser.retiled(tiles).most_pixels(shape)
        for tiles in (TILES, found.less_overlap, found.larger_tiles)
    ]
    assert costs[1] <= 0.9 * costs[0]
    assert costs[2] <= 0.9 * costs[1]
    assert costs[2] < 1.1 * (shape[0] + 32) * (shape[1] + 32), "hardly anything is computed twice"
    assert found.larger_tiles.tile**2 <= 1 << 20


@pytest.mark.parametrize("rule", ["stream", "image"])
def test_one_pass_is_the_cheapest_there_is(filter_model, rule):
    denoiser = Denoiser(filter_model(rule=rule, receptive_field=4), TILES, RUNTIME)
    found = thrift(denoiser, TILES, (512, 512))
    assert (found.less_overlap, found.larger_tiles) == (None, None)


def test_patches_on_scales_of_their_own_are_tiled_and_have_cheaper_tiles(filter_model):
    denoiser = Denoiser(filter_model(rule="patch", receptive_field=4), TILES, RUNTIME)
    assert thrift(denoiser, TILES, (512, 512)).larger_tiles is not None


def test_a_frame_that_fits_into_one_tile_has_no_cheaper_one(filter_model):
    tiling = TilingSettings()
    found = thrift(Denoiser(filter_model(), tiling, RUNTIME), tiling, (256, 256))
    assert (found.less_overlap, found.larger_tiles) == (None, None)


def test_other_tiles_cover_the_whole_frame_and_leave_the_model_as_it_was(filter_model):
    frame = np.random.default_rng(1).poisson(20, (200, 333)).astype(np.float32)
    denoiser = Denoiser(filter_model(), TILES, RUNTIME)
    found = thrift(denoiser, TILES, frame.shape)
    for tiling in (found.less_overlap, found.larger_tiles):
        np.testing.assert_allclose(denoiser.retiled(tiling).denoise(frame), frame, rtol=2e-6, atol=1e-4)
    assert denoiser.layout(frame.shape).side == (64, 64)
