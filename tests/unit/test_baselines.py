"""The classical denoisers: equal to their references, usable on every frame, and clear about what is missing."""

import sys

import numpy as np
import pytest
from scipy import ndimage

from quietscope.config import ModelError
from quietscope.models import median as median_module
from quietscope.models.baselines import BASELINES
from quietscope.models.median import median
from quietscope.models.quality import psnr


@pytest.mark.parametrize("size", [3, 5, 11])
@pytest.mark.parametrize("shape", [(1, 1), (2, 7), (40, 33)])
def test_median_is_scipys_with_reflected_edges(size, shape):
    image = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    expected = ndimage.median_filter(image, size, mode="reflect")
    np.testing.assert_array_equal(median(image, size), expected)


def test_median_in_parts_is_the_same(monkeypatch):
    image = np.random.default_rng(0).normal(0, 1, (50, 20)).astype(np.float32)
    whole = median(image)
    monkeypatch.setattr(median_module, "_MOST", 7 * 20 * 9)
    np.testing.assert_array_equal(median(image), whole)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_takes_every_dtype(name, dtype):
    if name == "bm3d":
        pytest.importorskip("bm3d")
    frame = np.random.default_rng(0).poisson(40, (33, 25)).astype(dtype)
    given = frame.copy()
    image = BASELINES[name](frame)
    assert image.shape == frame.shape
    assert image.dtype == np.float32
    assert np.isfinite(image).all()
    np.testing.assert_array_equal(frame, given)
    assert not np.shares_memory(image, frame)


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("noisy", 1.0),
        ("median", 0.408),  # of nine normal values
        ("gaussian-1", 0.282),  # 1/(2 sqrt(pi) sigma)
        ("gaussian-2", 0.141),
    ],
)
def test_white_noise_falls_by_what_theory_says(name, left):
    frame = 100 + np.random.default_rng(0).normal(0, 10, (300, 300))
    assert BASELINES[name](frame).std() / frame.std() == pytest.approx(left, rel=0.03)


def test_bm3d_takes_the_measured_noise_and_keeps_edges():
    pytest.importorskip("bm3d")
    rows, columns = np.mgrid[:96, :96]
    truth = 40 + 60 * ((rows // 16 + columns // 16) % 2)
    frame = truth + np.random.default_rng(0).normal(0, 10, truth.shape)
    assert psnr(truth, BASELINES["bm3d"](frame), 255) > psnr(truth, frame, 255) + 10


def test_bm3d_knows_that_noise_grows_with_the_brightness():
    bm3d = pytest.importorskip("bm3d")
    rows, columns = np.mgrid[:96, :96]
    truth = 5 + 95 * ((rows // 16 + columns // 16) % 2)
    frame = 20 + 5.0 * np.random.default_rng(0).poisson(truth / 5)
    image = BASELINES["bm3d"](frame)
    plain = bm3d.bm3d(frame, float(np.std(frame - truth - 20)))
    assert psnr(truth + 20, image, 255) > psnr(truth + 20, plain, 255) + 1
    assert image[truth == 5].mean() == pytest.approx(25, abs=1)
    assert image[truth == 100].mean() == pytest.approx(120, abs=2)


def test_pixels_that_are_no_numbers_do_not_spread():
    frame = np.full((9, 9), 5.0)
    frame[4, 4] = np.nan
    for name in ("noisy", "median", "gaussian-1"):
        np.testing.assert_allclose(BASELINES[name](frame), 5.0, rtol=1e-6)


def test_a_missing_bm3d_names_the_extra_and_its_terms(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm3d", None)
    with pytest.raises(ModelError, match=r"quietscope\[peers\].*non-commercial"):
        BASELINES["bm3d"](np.zeros((16, 16)))


def test_bm3d_says_what_is_too_small_and_leaves_noiseless_frames_alone():
    pytest.importorskip("bm3d")
    with pytest.raises(ModelError, match=r"\(7, 20\)"):
        BASELINES["bm3d"](np.zeros((7, 20)))
    np.testing.assert_array_equal(BASELINES["bm3d"](np.full((64, 64), 7, np.uint8)), 7)
