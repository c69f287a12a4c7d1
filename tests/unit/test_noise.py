import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter

from quietscope.models.noise import (
    clean,
    cut_patches,
    measure_noise,
    noise_std,
    unusable_reason,
)
from quietscope.models.twin_statistics import twin_statistics


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def scene(size=512):
    """Smooth structure on the left half, nothing on the right."""
    rng = np.random.default_rng(7)
    points = np.zeros((size, size), np.float32)
    points[rng.integers(0, size, 150), rng.integers(0, size // 2 - 20, 150)] = 4000.0
    return 100 + gaussian_filter(points, 3.0)


def test_white_noise_has_the_right_strength_and_no_correlation(rng):
    frames = [rng.normal(50, 5, (512, 512)).astype(np.float32) for _ in range(3)]
    report = measure_noise(frames)
    assert report.std == pytest.approx(5.0, rel=0.02)
    assert noise_std(frames) == pytest.approx(5.0, rel=0.02)
    assert abs(report.twin_correlation) < 0.05
    assert abs(report.neighbour_correlation) < 0.02
    assert report.level == pytest.approx(50, abs=0.5)
    assert report.independent
    assert "independent" in report.words


@pytest.mark.parametrize("sigma", [0.5, 0.7])
def test_correlation_of_blurred_noise_is_found_and_named(rng, sigma):
    frames = [10 * gaussian_filter(rng.normal(0, 1, (512, 512)), sigma) + scene() for _ in range(3)]
    # theory: neighbouring and diagonal correlation of the sampled kernel
    kernel = gaussian_filter(np.pad(np.ones((1, 1)), 10), sigma)
    power = np.sum(kernel**2)
    beside = np.sum(kernel[:, 1:] * kernel[:, :-1]) / power
    diagonal = np.sum(kernel[1:, 1:] * kernel[:-1, :-1]) / power
    report = measure_noise(frames)
    assert report.neighbour_correlation == pytest.approx(beside, abs=0.03)
    assert report.twin_correlation == pytest.approx(2 * beside / (1 + diagonal), abs=0.04)
    assert not report.independent
    assert "shared by neighbouring pixels" in report.words
    assert "consecutive frames" in report.words


def test_structure_is_not_taken_for_correlated_noise(rng):
    frames = [rng.normal(scene(), 8).astype(np.float32) for _ in range(2)]
    assert abs(measure_noise(frames).twin_correlation) < 0.06
    assert abs(measure_noise(frames[:1]).twin_correlation) < 0.06
    assert measure_noise(frames[:1]).std == pytest.approx(8, rel=0.03)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["01", "03", "05"])
def test_moving_specimens_are_not_taken_for_correlated_noise(data_dir, name):
    """Crowded, moving, 128 pixels wide: nowhere is it flat for long."""
    stack = tifffile.imread(data_dir / "lysosome_timelapse" / f"{name}.tif")[:10].astype(np.float64)
    middle = np.median(stack)
    light = 20 * np.clip(stack - middle, 0, None) / (np.percentile(stack, 99.9) - middle) + 1
    rng = np.random.default_rng(0)
    noisy = list(rng.poisson(light) + rng.normal(0, 1.6, light.shape))
    for frames in (noisy, noisy[:3], noisy[4:6]):
        assert abs(measure_noise(frames).twin_correlation) < 0.15


@pytest.mark.realdata
def test_real_confocal_noise_is_independent_and_wide_field_is_not(data_dir):
    def load(name):
        return [np.array(Image.open(data_dir / "fmd" / "raw" / f"{name}_{k}.png")) for k in (1, 2, 3, 4)]

    assert measure_noise(load("Confocal_FISH")).twin_correlation < 0.1
    wide = measure_noise(load("WideField_BPAE_G"))
    # noise minus its 50-frame mean gave 0.58 and 0.86
    assert wide.neighbour_correlation == pytest.approx(0.58, abs=0.04)
    assert wide.twin_correlation == pytest.approx(0.86, abs=0.03)


def test_f_of_pure_noise_is_one_whatever_the_brightness(rng):
    ramp = np.linspace(5, 200, 64)[None, :, None, None] * np.ones((1, 1, 64, 64))
    patches = rng.poisson(ramp[0]).astype(np.float32)
    statistics = twin_statistics(patches)
    assert np.mean(statistics.fine) == pytest.approx(1.0, abs=0.03)
    assert np.std(statistics.fine) == pytest.approx(statistics.fine_sd, rel=0.25)
    assert np.mean(statistics.coarse) == pytest.approx(1.0, abs=0.08)
    assert np.std(statistics.coarse) == pytest.approx(statistics.coarse_sd, rel=0.25)


def test_a_tilted_background_is_no_coarse_structure(rng):
    patches = rng.normal(0, 3, (32, 64, 64)).astype(np.float32)
    tilted = patches + np.linspace(0, 30, 64, dtype=np.float32)[None, :, None]
    np.testing.assert_allclose(twin_statistics(tilted).coarse, twin_statistics(patches).coarse, rtol=0.02)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((512, 512), np.uint16),
        np.full((64, 64), np.nan, np.float32),
        np.zeros((5, 1), np.uint8),
        np.ones((1, 700), np.float32),
        np.array([[7]], np.uint8),
    ],
    ids=["empty", "nan", "narrow", "flat line", "one pixel"],
)
def test_degenerate_frames_give_finite_figures(frame):
    report = measure_noise([frame, frame])
    assert (report.std, report.twin_correlation, report.neighbour_correlation) == (0, 0, 0)
    assert noise_std([frame]) == 0


def test_patches_cover_the_frame_and_keep_their_place():
    frame = np.arange(130 * 200).reshape(130, 200)
    patches = cut_patches(frame, 64)
    assert patches.shape == (6, 64, 64)
    np.testing.assert_array_equal(patches[4], frame[64:128, 64:128])
    assert cut_patches(frame[:20, :30], 64).shape == (1, 20, 30)


def test_clean_bridges_gaps_from_their_neighbours_only():
    frame = np.full((20, 20), 10, np.float32)
    frame[:, 10:] = 50
    frame[5, 3] = np.nan
    frame[5, 15] = np.inf
    frame[0, 19] = -np.inf
    cleaned = clean(frame)
    assert (cleaned[5, 3], cleaned[5, 15], cleaned[0, 19]) == (10, 50, 50)
    good = np.isfinite(frame)
    np.testing.assert_array_equal(cleaned[good], frame[good])
    assert np.isnan(frame[5, 3]), "the camera's frame must not be changed"


def test_clean_fills_large_holes_with_the_median_and_all_nan_with_zero():
    frame = np.full((9, 9), 3, np.float32)
    frame[:5, :5] = np.nan
    np.testing.assert_array_equal(clean(frame), np.full((9, 9), 3))
    np.testing.assert_array_equal(clean(np.full((4, 4), np.nan, np.float32)), np.zeros((4, 4)))


def test_frames_fit_for_training_are_told_from_others(rng):
    good = rng.poisson(20, (64, 64)).astype(np.uint8)
    assert unusable_reason(good) is None
    assert unusable_reason(rng.normal(0, 1, (64, 64)).astype(np.float32)) is None
    bad = rng.normal(0, 1, (64, 64)).astype(np.float32)
    bad[3, 3] = np.nan
    assert "1 pixels are not finite" in unusable_reason(bad)
    assert "empty" in unusable_reason(np.full((64, 64), 100, np.uint16))
    assert "no pixels" in unusable_reason(np.zeros((0, 5), np.uint8))


@pytest.mark.parametrize(
    ("dtype", "ceiling"), [(np.uint8, 255), (np.uint16, 65535), (np.uint16, 4095), (np.int16, 32767)]
)
def test_saturation_is_found_for_cameras_of_any_depth(rng, dtype, ceiling):
    frame = np.clip(rng.normal(ceiling * 0.6, ceiling * 0.1, (64, 64)), 0, ceiling).astype(dtype)
    assert unusable_reason(frame) is None
    frame[:10, :10] = ceiling
    assert "saturated" in unusable_reason(frame)
    assert unusable_reason(frame, max_saturated=0.1) is None
