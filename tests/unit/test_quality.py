import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from quietscope.config.errors import ModelError
from quietscope.models.quality import Line, fit_line, psnr, slope


@pytest.fixture
def rng():
    return np.random.default_rng(4)


@pytest.mark.parametrize(("dtype", "data_range"), [("uint8", 255), ("uint16", 4000.0), ("float32", 20.0)])
def test_psnr_is_that_of_scikit_image(rng, dtype, data_range):
    truth = rng.integers(0, 200, (64, 64)).astype(dtype)
    image = rng.integers(0, 200, (64, 64)).astype(dtype)
    assert psnr(truth, image, data_range) == pytest.approx(
        peak_signal_noise_ratio(truth, image, data_range=data_range), abs=1e-9
    )


def test_psnr_of_equal_images_is_infinite_and_unsigned_values_do_not_wrap():
    assert psnr(np.ones((4, 4)), np.ones((4, 4)), 1) == np.inf
    dark, bright = np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8)
    assert psnr(dark, bright, 255) == psnr(bright, dark, 255) == 0


@pytest.mark.parametrize(("shape", "data_range"), [((3, 3), 1), ((2, 2), 0), ((2, 2), -1), ((2, 2), np.nan)])
def test_psnr_refuses_what_means_nothing(shape, data_range):
    with pytest.raises(ModelError, match="PSNR"):
        psnr(np.zeros((2, 2)), np.zeros(shape), data_range)


def test_slope_finds_a_gain_error(rng):
    truth = rng.random((5, 64, 64)) * 1000 + 30_000
    assert slope(truth, truth.astype(np.float32)) == pytest.approx(1, abs=1e-5)
    assert slope(truth, truth * 1.05 - 77) == pytest.approx(1 / 1.05, abs=1e-9)
    gain, intercept = fit_line(truth * 1.05 - 77, truth)
    assert gain * (truth[0, 0, 0] * 1.05 - 77) + intercept == pytest.approx(truth[0, 0, 0])


def test_line_pools_frames_and_gives_an_honest_error(rng):
    slopes, errors = [], []
    for _ in range(200):
        line = Line()
        for _ in range(2):
            x = rng.normal(100, 2, 200)
            line.add(x, 3 * x + rng.normal(0, 5, 200))
        slopes.append(line.slope)
        errors.append(line.slope_error)
    assert np.mean(slopes) == pytest.approx(3, abs=0.03)
    assert np.mean(errors) == pytest.approx(np.std(slopes), rel=0.15)


def test_a_line_through_constant_or_missing_pixels():
    assert np.isnan(slope(np.arange(9.0), np.ones(9)))
    with pytest.raises(ModelError, match="no pixels"):
        Line().slope  # noqa: B018
    with pytest.raises(ModelError, match="differ"):
        slope(np.ones(3), np.ones(4))
