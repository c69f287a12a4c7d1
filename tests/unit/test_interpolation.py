"""Facts about the x2 interpolation: geometry, spectrum, edges."""

import numpy as np
import pytest

from quietscope.config import ModelError
from quietscope.models.interpolation import upsample2
from quietscope.models.twins import split_diagonal


def _spot(shape, y, x, sigma):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))


def _centroid(image):
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return (image * rows).sum() / image.sum(), (image * columns).sum() / image.sum()


@pytest.mark.parametrize("shape", [(128, 128), (96, 130), (130, 98)])
def test_spots_stay_where_they_are_over_the_whole_patch(shape):
    """No shift and no stretch: less than 0.02 px from one corner to the other (the published one: 0.25 px)."""
    for share in (0.15, 0.3, 0.5, 0.7, 0.85):
        y, x = share * shape[0] + 0.3, (1 - share) * shape[1] - 0.2
        for twin in split_diagonal(_spot(shape, y, x, 2.5)):
            found = _centroid(upsample2(twin).astype(np.float64))
            assert np.hypot(found[0] - y, found[1] - x) < 0.02


@pytest.mark.parametrize("sides", [(32, 32), (31, 32), (33, 27)])
def test_cosines_of_the_mirrored_picture_are_exact(sides):
    """A half-sample symmetric cosine below the highest frequency is interpolated without any error."""
    height, width = sides

    def wave(rows, columns):
        first = np.cos(np.pi * 5 * (rows + 0.5) / height)
        second = np.cos(np.pi * 9 * (columns + 0.5) / width)
        return 3 + first[:, None] * second[None, :]

    coarse = wave(np.arange(height), np.arange(width))
    fine = wave(np.arange(2 * height) / 2 - 0.25, np.arange(2 * width) / 2 - 0.25)
    assert upsample2(coarse) == pytest.approx(fine, abs=2e-5)


def test_mean_and_constant_are_kept_and_negatives_are_not_clipped():
    noise = np.random.default_rng(0).normal(-5.0, 1.0, (64, 64))
    fine = upsample2(noise)
    assert fine.dtype == np.float32
    assert fine.mean() == pytest.approx(noise.mean(), abs=1e-5)
    assert fine.max() < 0
    assert upsample2(np.full((9, 13), -7.25)) == pytest.approx(np.full((18, 26), -7.25), abs=1e-5)


def test_noise_variance_is_kept_and_band_limited():
    noise = np.random.default_rng(0).standard_normal((4, 256, 256))
    fine = upsample2(noise)
    assert fine.var() == pytest.approx(1.0, rel=0.02)
    flat = fine - fine.mean(axis=(1, 2), keepdims=True)
    lag_one = (flat[:, :, 1:] * flat[:, :, :-1]).mean() / flat.var()
    assert lag_one == pytest.approx(2 / np.pi, abs=0.01)


def test_stack_equals_planes():
    stack = np.random.default_rng(0).random((3, 2, 17, 20), dtype=np.float32)
    whole = upsample2(stack)
    for index in np.ndindex(3, 2):
        assert whole[index] == pytest.approx(upsample2(stack[index]), abs=1e-6)


@pytest.mark.parametrize("shape", [(0, 5), (5,), (0, 4, 4)])
def test_planes_without_pixels_are_refused(shape):
    with pytest.raises(ModelError, match="pixels"):
        upsample2(np.zeros(shape))
