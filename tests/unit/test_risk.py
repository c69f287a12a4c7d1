import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import skew

from quietscope.models.noise import NoiseReport, measure_noise
from quietscope.models.risk import Risk, classify, classify_noise, classify_published, unit_range

INDEPENDENT = NoiseReport(1.0, 0.0, 0.0)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("photons", [1, 5, 20, 100, 1000])
def test_noise_rule_finds_empty_patches_at_every_light_level(rng, photons):
    patches = rng.poisson(photons, (200, 64, 64)) + rng.normal(0, 1.6, (200, 64, 64))
    classes = classify_noise(patches.astype(np.float32), INDEPENDENT)
    assert np.mean(classes == Risk.HIGH_BACKGROUND) >= 0.98


@pytest.mark.parametrize("photons", [20, 100, 1000])
def test_noise_rule_keeps_structured_patches(rng, photons):
    texture = gaussian_filter(rng.random((100, 64, 64)), (0, 3, 3))
    texture = (texture - texture.min()) / np.ptp(texture)
    patches = rng.poisson(photons * texture) + rng.normal(0, 1.6, texture.shape)
    assert np.mean(classify_noise(patches.astype(np.float32), INDEPENDENT) == Risk.LOW) >= 0.95


def test_noise_rule_keeps_faint_wide_structure(rng):
    y, x = np.mgrid[:64, :64]
    bump = np.exp(-((y - 32) ** 2 + (x - 32) ** 2) / (2 * 12**2))
    patches = rng.normal(0.8 * bump, 1, (100, 64, 64)).astype(np.float32)
    assert np.mean(classify_noise(patches, INDEPENDENT) == Risk.LOW) > 0.9


def test_sparse_bright_signal_is_high_risk(rng):
    patches = rng.normal(10, 1, (20, 64, 64))
    patches[:, 30:34, 30:34] += 500
    assert set(classify_noise(patches.astype(np.float32), INDEPENDENT)) == {Risk.HIGH_SPARSE}


def test_correlated_noise_is_judged_by_its_own_null(rng):
    field = 5 * gaussian_filter(rng.normal(0, 1, (1024, 1024)), 0.7)
    patches = field.reshape(16, 64, 16, 64).swapaxes(1, 2).reshape(-1, 64, 64).astype(np.float32)
    assert np.mean(classify_noise(patches, INDEPENDENT) == Risk.LOW) == 1.0
    assert np.mean(classify_noise(patches, measure_noise([field])) == Risk.HIGH_BACKGROUND) > 0.9


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        (0.19, 0.027, Risk.HIGH_BACKGROUND),
        (0.21, 0.027, Risk.LOW),  # symmetric, but see the second background clause below
        (0.19, 0.029, Risk.LOW),
    ],
)
def test_published_background_thresholds(mean, std, expected):
    # two equal halves have skewness 0 up to rounding: lift it above 0 with one extra bright pixel
    patch = np.full((64, 64), mean - std, np.float32)
    patch[32:] = mean + std
    patch[0, 0] += 0.1
    assert classify_published(patch[None])[0] == expected


def test_published_rule_takes_symmetric_weak_contrast_for_background():
    patch = np.full((64, 64), 0.46, np.float32)
    patch[32:] = 0.54
    patch[32, 0] = 0.4
    assert classify_published(patch[None])[0] == Risk.HIGH_BACKGROUND


def test_published_sparse_thresholds():
    patch = np.full((64, 64), 0.1, np.float32)
    patch[:5, :5] = 1.0
    assert patch.std() < 0.075
    assert classify_published(patch[None])[0] == Risk.LOW
    patch[:6, :6] = 1.0
    assert patch.std() >= 0.075
    assert skew(patch.ravel(), bias=False) > 3
    assert classify_published(patch[None])[0] == Risk.HIGH_SPARSE


def test_published_rule_misses_empty_patches_at_low_light(rng):
    """The known weakness that the noise rule exists for."""
    image = rng.poisson(1, (512, 512)) + rng.normal(0, 1.6, (512, 512))
    image[:, :200] += rng.poisson(20 * gaussian_filter(rng.random((512, 200)) > 0.97, 2) / 0.12)
    unit = unit_range(image)
    empty = unit[:, 256:].reshape(8, 64, 4, 64).swapaxes(1, 2).reshape(-1, 64, 64)
    grey = image.astype(np.float32)[:, 256:].reshape(8, 64, 4, 64).swapaxes(1, 2).reshape(-1, 64, 64)
    assert np.mean(classify(empty) != Risk.LOW) == 0
    assert np.mean(classify(grey, INDEPENDENT) != Risk.LOW) == 1


def test_unit_range_clips_extremes_and_survives_constants():
    image = np.linspace(10, 20, 40_000).reshape(200, 200).astype(np.float32)
    image[0, 0] = 1e4
    unit = unit_range(image)
    assert unit.min() == 0
    assert unit.max() == 1
    assert np.median(unit) == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(unit_range(np.full((9, 9), 5)), np.zeros((9, 9)))


@pytest.mark.parametrize("shape", [(3, 64, 64), (3, 1, 9), (0, 64, 64)])
def test_constant_and_tiny_patches_count_as_background(shape):
    classes = classify_noise(np.full(shape, 5, np.float32), INDEPENDENT)
    assert classes.shape == shape[:1]
    assert np.all(classes == Risk.HIGH_BACKGROUND)
