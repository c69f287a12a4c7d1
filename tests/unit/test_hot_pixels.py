"""Hot pixels are found, and points of light are not taken for them."""

import numpy as np
import pytest

from quietscope.models.hot_pixels import find_hot_pixels, repair


def _frames(image, *, count=10, seed=0):
    rng = np.random.default_rng(seed)
    return [
        (100 + 2.2 * rng.poisson(image) + rng.normal(0, 3.5, image.shape)).astype(np.uint16)
        for _ in range(count)
    ]


def test_hot_pixels_are_found_and_nothing_else():
    rng = np.random.default_rng(3)
    image = np.full((256, 256), 3.0)
    rows, columns = np.mgrid[:256, :256]
    for y, x in rng.uniform(10, 246, (60, 2)):
        # the narrowest points that a microscope with 2 pixels per resolution element shows
        image += 60 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 1.1**2))
    frames = _frames(image)
    hot = np.zeros((256, 256), dtype=bool)
    hot[rng.integers(0, 256, 12), rng.integers(0, 256, 12)] = True
    for frame in frames:
        frame[hot] += 1500
    assert np.array_equal(find_hot_pixels(frames), hot)


@pytest.mark.parametrize("count", [1, 10])
def test_pure_noise_has_none(count):
    assert find_hot_pixels(_frames(np.full((256, 256), 4.0), count=count)).sum() <= 1


def test_constant_frames_have_none():
    assert not find_hot_pixels([np.full((32, 32), 7, dtype=np.uint8)]).any()


def test_repair_takes_the_neighbours_median_and_leaves_the_rest():
    frame = np.arange(25, dtype=np.uint16).reshape(5, 5)
    hot = np.zeros((5, 5), dtype=bool)
    hot[2, 2] = hot[0, 0] = True
    original = frame.copy()
    repaired = repair(frame, hot)
    assert np.array_equal(frame, original)
    assert repaired[2, 2] == 12
    assert np.array_equal(repaired[~hot], frame[~hot])
    assert repaired.dtype == np.float32
