"""Hot pixels travel with the model and are bridged before denoising."""

import numpy as np
import pytest

from quietscope.config import ModelError
from quietscope.models.hot_pixels import (
    find_hot_pixels,
    hot_pixels_from_metadata,
    hot_pixels_to_metadata,
    repair,
)


@pytest.fixture
def frames():
    rng = np.random.default_rng(3)
    return [rng.poisson(100, (40, 50)).astype("uint16") for _ in range(6)]


@pytest.mark.parametrize("place", [(0, 0), (0, 20), (39, 49), (17, 23), (39, 0)])
def test_hot_pixel_is_found_and_bridged_wherever_it_is(frames, place):
    for frame in frames:
        frame[place] = 3000
    hot = find_hot_pixels(frames)
    assert [tuple(p) for p in np.argwhere(hot)] == [place]
    repaired = repair(frames[0], hot)
    assert 60 < repaired[place] < 140
    others = ~hot
    np.testing.assert_array_equal(repaired[others], frames[0][others])


def test_repair_is_the_median_of_the_neighbours(frames):
    hot = np.zeros((40, 50), bool)
    hot[10, 10] = True
    around = np.delete(frames[0][9:12, 9:12].ravel(), 4)
    assert repair(frames[0], hot)[10, 10] == np.median(around)


def test_positions_survive_the_model_file(frames):
    hot = np.random.default_rng(0).random((40, 50)) < 0.01
    back = hot_pixels_from_metadata(hot_pixels_to_metadata(hot))
    assert back is not None
    np.testing.assert_array_equal(back, hot)
    assert hot_pixels_from_metadata({}) is None


@pytest.mark.parametrize("text", ["", "{}", '{"shape":[2,2],"index":[9]}', '{"shape":[2],"index":[]}', "[1]"])
def test_damaged_metadata_are_named(text):
    with pytest.raises(ModelError, match="hot_pixels"):
        hot_pixels_from_metadata({"hot_pixels": text})
