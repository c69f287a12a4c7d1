import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from quietscope.models.gaussian import blur
from quietscope.models.preview import PREVIEW_LABEL, preview, preview_sigma


@pytest.fixture
def rng():
    return np.random.default_rng(6)


@pytest.mark.parametrize("sigma", [0.35, 0.7, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("shape", [(64, 80), (33, 41)])
def test_blur_is_that_of_scipy(rng, sigma, shape):
    image = rng.normal(100, 10, shape).astype(np.float32)
    np.testing.assert_allclose(blur(image, sigma), gaussian_filter(image, sigma, mode="reflect"), atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (3, 2)])
def test_blur_of_tiny_images_keeps_constants(shape):
    np.testing.assert_allclose(blur(np.full(shape, 7, np.float32), 3.0), 7, rtol=1e-6)
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.testing.assert_array_equal(blur(image, 0.0), image)


def test_the_noisier_the_frame_the_wider_the_preview(rng):
    points = (rng.random((256, 256)) < 0.01).astype(np.float32)
    truth = gaussian_filter(points, 2.5)
    truth *= 100 / truth.max()
    chosen = [preview_sigma(truth + rng.normal(0, noise, truth.shape)) for noise in (1, 10, 60)]
    assert chosen == sorted(chosen)
    assert chosen[0] < chosen[-1]


def test_a_preview_is_nearer_to_the_truth_than_the_frame(rng):
    truth = 20 * (1 + gaussian_filter(rng.normal(0, 1, (256, 256)), 4) * 7)
    frame = rng.poisson(np.clip(truth, 0, None)).astype(np.uint16)
    shown = preview(frame)
    assert shown.dtype == np.float32
    assert np.mean((shown - truth) ** 2) < 0.2 * np.mean((frame - truth) ** 2)
    assert shown.mean() == pytest.approx(frame.mean(), rel=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (5, 3), (600, 700)])
def test_every_size_is_shown(rng, shape):
    assert preview(rng.poisson(5, shape).astype(np.uint8)).shape == shape


def test_bad_pixels_do_not_spread(rng):
    frame = rng.normal(10, 1, (64, 64)).astype(np.float32)
    frame[3, 3] = np.nan
    assert np.isfinite(preview(frame)).all()
    assert np.isfinite(preview(np.full((9, 9), np.inf, np.float32))).all()


def test_a_preview_is_named_as_one():
    assert "no model" in PREVIEW_LABEL
