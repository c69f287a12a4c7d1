"""The trust light against frames whose truth is known."""

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import binom

from quietscope.config import Settings
from quietscope.config.errors import ModelError
from quietscope.models.calibration import calibrate
from quietscope.models.gaussian import blur
from quietscope.models.residual import CELL, NoiseModel, residual_statistics
from quietscope.models.trust import TrustJudge
from quietscope.models.trust_reference import TrustReference, measure_reference

SHAPE = (200, 232)
GAIN, OFFSET, READ = 2.2, 100.0, 1.6
SETTINGS = Settings()


def denoise(frame):
    return np.rint(blur(frame.astype(np.float32), 1.5)).astype(frame.dtype)


@pytest.fixture(scope="module")
def photons():
    """Smooth blobs, so that a Gaussian blur is a good denoiser for them."""
    rng = np.random.default_rng(0)
    points = np.zeros(SHAPE)
    points[rng.integers(20, 180, 40), rng.integers(20, 120, 40)] = 1
    light = gaussian_filter(points, 5.0)
    return (1 + 25 * light / light.max()).astype(np.float32)


def expose(photons, seed):
    rng = np.random.default_rng(seed)
    levels = OFFSET + GAIN * (rng.poisson(photons) + READ * rng.standard_normal(photons.shape))
    return np.rint(levels).astype(np.uint16)


def judge_from(frames, make=denoise):
    reference = measure_reference(make, frames, calibrate(frames), max_twin_correlation=0.3)
    kept = TrustReference.from_figures(json.loads(json.dumps(reference.figures)))
    assert kept == reference
    return TrustJudge(kept, trust=SETTINGS.trust, drift=SETTINGS.drift)


@pytest.fixture(scope="module")
def judge(photons):
    return judge_from([expose(photons, seed) for seed in range(6)])


def test_faultless_frames_are_green(photons, judge):
    frames = 120
    doubted = 0
    for seed in range(100, 100 + frames):
        raw = expose(photons, seed)
        doubted += judge.judge(raw, denoise(raw)).light != "green"
    assert doubted <= binom.ppf(0.999, frames, SETTINGS.trust.false_alarms)


def test_a_residual_of_noise_has_mean_0_and_variance_1(photons):
    noise = NoiseModel(GAIN, (GAIN * READ) ** 2 - GAIN * OFFSET, (GAIN * READ) ** 2, OFFSET)
    found = residual_statistics(expose(photons, 1), OFFSET + GAIN * photons, noise)
    n = photons.size
    assert found.size == n
    assert abs(found.mean.mean()) < 5 / n**0.5
    assert found.spread == pytest.approx(1, abs=5 * (2 / n) ** 0.5 + 0.01)
    assert found.kinship == pytest.approx(0, abs=5 / n**0.5)
    assert found.light == pytest.approx(1, abs=5 * found.light_error)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_a_false_filament_in_empty_background_is_found_in_its_box(photons, judge, share):
    raw = expose(photons, 7)
    drawn = np.zeros(SHAPE, np.float32)
    rows = np.arange(60, 110)
    drawn[rows, 150 + (rows - 60) // 2] = 1
    line = gaussian_filter(drawn, 1.7)
    altered = denoise(raw) + (share * 25 * GAIN * line / line.max()).astype(np.uint16)
    trust = judge.judge(raw, altered)
    assert trust.light != "green"
    assert "structure was added in empty background" in trust.reason
    place = trust.places[0]
    assert 60 - CELL <= place.top < place.bottom <= 110 + CELL
    assert 150 - CELL <= place.left < place.right <= 175 + CELL
    rows, columns = np.nonzero(trust.map == 0)
    assert rows.min() >= 60 - 2 * CELL
    assert rows.max() < 110 + 2 * CELL
    assert columns.min() >= 150 - 2 * CELL
    assert columns.max() < 175 + 2 * CELL


def test_an_erased_structure_is_found(photons, judge):
    raw = expose(photons, 8)
    altered = denoise(raw)
    row, column = np.unravel_index(gaussian_filter(photons, 5).argmax(), SHAPE)
    altered[row - 8 : row + 8, column - 8 : column + 8] = OFFSET + GAIN
    trust = judge.judge(raw, altered)
    assert "signal was removed from the specimen" in trust.reason
    assert trust.places[0].top <= row <= trust.places[0].bottom
    assert trust.places[0].left <= column <= trust.places[0].right
    assert (trust.map[row - 4 : row + 4, column - 4 : column + 4] == 0).all()


@pytest.mark.parametrize("factor", [0.95, 1.05])
def test_intensities_that_are_wrong_by_5_percent_are_red(photons, judge, factor):
    raw = expose(photons, 9)
    # before rounding: at few grey levels, 5 % of a whole number would be rounded away
    altered = np.rint(OFFSET + factor * (blur(raw.astype(np.float32), 1.5) - OFFSET)).astype(np.uint16)
    trust = judge.judge(raw, altered)
    assert trust.light == "red"
    assert "intensities are not conserved" in trust.reason
    assert 1 / trust.figures["light_ratio"] == pytest.approx(factor, abs=0.02)


@pytest.mark.parametrize(
    ("sigma", "light", "words"),
    [
        (0.4, "yellow", "the model leaves more noise in than it did during training"),
        (4.0, "red", "the model takes out more than noise"),
    ],
)
def test_a_denoiser_that_leaves_noise_or_takes_structure_is_told(photons, judge, sigma, light, words):
    raw = expose(photons, 10)
    trust = judge.judge(raw, np.rint(blur(raw.astype(np.float32), sigma)).astype(np.uint16))
    assert trust.light == light
    assert words in trust.reason
    assert words in trust.drift


@pytest.mark.parametrize(("stronger", "light"), [(1.06, "green"), (1.3, "red")])
def test_a_detector_whose_noise_drifts_by_a_few_percent_is_no_fault_of_the_model(
    photons, judge, stronger, light
):
    noise = np.random.default_rng(13).normal(0, GAIN * np.sqrt(photons + READ**2))
    raw = np.rint(OFFSET + GAIN * photons + stronger**0.5 * noise).astype(np.uint16)
    trust = judge.judge(raw, denoise(raw))
    assert trust.light == light
    assert trust.figures["residual_variance_change"] > 0.03


def test_a_model_that_takes_structure_away_from_the_start_is_red(photons):
    def smear(frame):
        return np.rint(blur(frame.astype(np.float32), 6.0)).astype(frame.dtype)

    frames = [expose(photons, seed) for seed in range(6)]
    trust = judge_from(frames, smear).judge(frames[0], smear(frames[0]))
    assert trust.light == "red"
    assert "takes away more structure than it leaves noise" in trust.reason


def test_a_specimen_that_has_bleached_has_drifted(photons, judge):
    raw = expose(photons / 3, 11)
    trust = judge.judge(raw, denoise(raw))
    assert "the light is " in trust.drift
    assert "picture" not in trust.drift
    assert trust.figures["brightness"] == pytest.approx(1 / 3, abs=0.1)
    assert trust.light != "green"
    raw = expose(photons, 11)
    assert judge.judge(raw, denoise(raw)).drift == ""


def test_a_specimen_that_has_left_the_focus_has_drifted(photons):
    bright = 10 * photons
    judge = judge_from([expose(bright, seed) for seed in range(3)])
    sharp, blurred = expose(bright, 12), expose(gaussian_filter(bright, 8.0), 12)
    assert judge.judge(sharp, denoise(sharp)).drift == ""
    assert "the picture is blurred" in judge.judge(blurred, denoise(blurred)).drift


def test_noise_that_neighbours_share_is_no_fault(photons):
    def expose_shared(seed):
        field = gaussian_filter(np.random.default_rng(seed).standard_normal(SHAPE), 0.8)
        return (OFFSET + GAIN * photons + 8 * field / field.std()).astype(np.float32)

    def smooth(frame):
        return blur(frame, 3.0)

    judge = judge_from([expose_shared(seed) for seed in range(6)], smooth)
    lights = [
        judge.judge(raw, smooth(raw)).light for raw in (expose_shared(seed) for seed in range(100, 140))
    ]
    assert sum(light != "green" for light in lights) <= binom.ppf(0.999, 40, SETTINGS.trust.false_alarms)


@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (16, 16), (33, 70)])
def test_frames_of_any_size_are_judged(shape):
    frames = [np.random.default_rng(seed).poisson(50, shape).astype(np.uint16) for seed in range(3)]
    trust = judge_from(frames).judge(frames[0], denoise(frames[0]))
    assert trust.map.shape == shape
    assert trust.map.dtype == np.uint8
    assert all(np.isfinite(value) for value in trust.figures.values())


def test_a_reference_that_cannot_be_read_says_how_to_mend_it():
    with pytest.raises(ModelError, match="train the channel again"):
        TrustReference.from_figures({"strata": []})
    with pytest.raises(ModelError, match="wait for the first frames"):
        measure_reference(denoise, [], calibrate([np.zeros((8, 8))]), max_twin_correlation=0.3)
