"""Facts about diagonal twins."""

import numpy as np
import pytest

from quietscope.config import ModelError
from quietscope.models.twins import split_diagonal


def test_noise_is_halved_and_independent():
    noise = np.random.default_rng(0).normal(100.0, 7.0, (8, 512, 512))
    a, b = split_diagonal(noise)
    # 524,288 samples: the standard error of a variance is 0.2 % of it, that of a correlation 0.0014
    assert a.var() == pytest.approx(49 / 2, rel=0.01)
    assert b.var() == pytest.approx(49 / 2, rel=0.01)
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.006


def test_twins_share_no_pixel_and_use_all():
    frame = np.arange(36, dtype=np.uint16).reshape(6, 6)
    for row, column in np.ndindex(6, 6):
        changed = frame.copy()
        changed[row, column] += 100
        moved = [
            np.abs(x - y).sum() for x, y in zip(split_diagonal(frame), split_diagonal(changed), strict=True)
        ]
        assert sorted(moved) == [0, 50]
        assert (moved[0] == 50) == ((row + column) % 2 == 0)


def test_both_twins_have_their_centre_in_the_block():
    y, x = np.mgrid[:64, :48].astype(np.float64)
    for plane in (3 * x + 5 * y,):
        for twin in split_diagonal(plane):
            rows, columns = np.mgrid[: twin.shape[0], : twin.shape[1]]
            assert twin == pytest.approx(3 * (2 * columns + 0.5) + 5 * (2 * rows + 0.5))


@pytest.mark.parametrize("shape", [(7, 10), (10, 7), (5, 5), (3, 4, 9, 11)])
def test_odd_sizes_leave_out_the_last_row_or_column(shape):
    planes = np.random.default_rng(1).random(shape)
    even = planes[..., : shape[-2] // 2 * 2, : shape[-1] // 2 * 2]
    for twin, expected in zip(split_diagonal(planes), split_diagonal(even), strict=True):
        assert twin.shape == (*shape[:-2], shape[-2] // 2, shape[-1] // 2)
        assert twin.dtype == np.float32
        assert np.array_equal(twin, expected)


def test_large_integers_do_not_wrap():
    a, b = split_diagonal(np.full((4, 4), 65535, dtype=np.uint16))
    assert (a == 65535).all()
    assert (b == 65535).all()


@pytest.mark.parametrize("shape", [(1, 8), (8, 1), (8,), (0, 8)])
def test_planes_without_a_block_are_refused(shape):
    with pytest.raises(ModelError, match="2x2"):
        split_diagonal(np.zeros(shape))
