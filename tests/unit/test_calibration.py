"""Gain, offset, read noise and photons are what they are, and where they cannot be known the answer says so."""

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.simulator import Simulator
from quietscope.config import ModelError
from quietscope.config.sources import SimulatorSettings
from quietscope.models.calibration import calibrate
from quietscope.models.gaussian import blur
from quietscope.models.noise_spectrum import noise_spectrum


def _light(size=512, *, sigma=1.4, seed=0):
    """Filaments over haze; 1 is the 99.5th percentile."""
    rng = np.random.default_rng(seed)
    ink = np.zeros((size, size), np.float32)
    for _ in range(size * size // 4400):
        place, angle = rng.uniform(0, size, 2), rng.uniform(0, 2 * np.pi)
        for turn in rng.normal(0, 0.1, 300):
            angle += turn
            place += np.sin(angle), np.cos(angle)
            y, x = place.astype(int) % size
            ink[y, x] += 1
    light = blur(ink, sigma)
    haze = blur(light, 12.0)
    light = 0.02 + light / np.percentile(light, 99.5) + 0.1 * haze / haze.max()
    return light / np.percentile(light, 99.5)


LIGHT = _light()


def _camera(photons, *, gain=2.2, offset=100.0, read_noise=1.6, count=1, seed=0, light=LIGHT):
    rng = np.random.default_rng(seed)
    return [
        offset + gain * (rng.poisson(photons * light) + read_noise * rng.standard_normal(light.shape))
        for _ in range(count)
    ]


def _uint16(frames):
    return [np.clip(np.round(frame), 0, 65535).astype(np.uint16) for frame in frames]


def _simulated(photons, count, **settings):
    simulator = Simulator(SimulatorSettings(photons=photons, frames=max(count, 2), **settings))
    return [simulator.pixels(FrameKey(t=t)) for t in range(count)], simulator


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("photons", [14, 100, 1000])
@pytest.mark.parametrize("read_noise", [0.0, 1.6])
@pytest.mark.parametrize(("gain", "offset"), [(0.5, 100), (2.2, 0), (2.2, 100), (21, 100)])
def test_camera_and_light_are_found(gain, offset, read_noise, photons, count):
    frames = _camera(photons, gain=gain, offset=offset, read_noise=read_noise, count=count)
    found = calibrate([frame.astype(np.float32) for frame in frames] if offset == 0 else _uint16(frames))
    assert found.gain == pytest.approx(gain, rel=0.1)
    assert found.gain == pytest.approx(gain, rel=max(4 * found.gain_error, 0.03))
    # a photon, or a hundredth of the light: where the background is 20 photons, read noise is a guess
    assert found.offset == pytest.approx(offset, abs=gain * max(1.0, 0.01 * photons))
    assert found.offset_range[0] <= found.offset <= found.offset_range[1]
    rounding = (0.3 if offset else 0.0) / gain
    if photons <= 100:
        assert found.read_noise / gain == pytest.approx(read_noise, abs=0.6 + rounding)
    # the mean of the brightest hundredth is 1.06 of the 99.5th percentile; noise blurs which pixels these are
    assert found.photons == pytest.approx(photons, rel=0.1)
    assert found.variance_slope == pytest.approx(gain, rel=0.1)
    if count > 1 or photons <= 100:
        assert not found.doubts
        assert found.reliable


def test_very_few_photons_are_counted_from_ten_frames():
    found = calibrate(_uint16(_camera(3, count=10)))
    assert found.gain == pytest.approx(2.2, rel=0.1)
    assert found.offset == pytest.approx(100, abs=1)
    assert found.photons == pytest.approx(3, rel=0.15)
    assert found.reliable


def test_stated_errors_are_the_errors():
    light = _light(128)
    found = [calibrate(_uint16(_camera(20, count=2, seed=seed, light=light))) for seed in range(30)]
    scatter = np.array([(calibration.gain / 2.2 - 1) / calibration.gain_error for calibration in found])
    assert 0.6 < np.sqrt(np.mean(scatter**2)) < 1.5


@pytest.mark.parametrize("modality", ["sd-sim", "confocal"])
@pytest.mark.parametrize(("photons", "count"), [(14, 1), (14, 5), (100, 1), (1000, 1), (1000, 5)])
def test_living_cells_of_the_simulator(modality, photons, count):
    frames, simulator = _simulated(photons, count, modality=modality)
    found = calibrate(frames)
    assert found.gain == pytest.approx(2.2, rel=0.1)
    assert found.offset == pytest.approx(100, abs=2.2 * max(1.0, 0.01 * photons))
    truth = (simulator.truth(FrameKey(t=0)) - 100) / 2.2
    assert found.photons == pytest.approx(np.percentile(truth, 99.5), rel=0.2)
    assert found.reliable
    assert "independent between neighbouring pixels" in found.words
    assert abs(found.neighbour_correlation) < 0.03
    assert np.abs(found.lag_correlations).max() < 0.03


@pytest.mark.realdata
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize(
    ("name", "gain", "intercept"),
    [
        ("Confocal_BPAE_G", 3.9, -15),
        ("Confocal_FISH", 21.5, -76),
        ("TwoPhoton_BPAE_B", 10.3, -79),
        ("TwoPhoton_MICE", 9.9, -77),
    ],
)
def test_real_photon_counters(data_dir, name, gain, intercept, count):
    """The references are straight lines through the variance over four captures, pixel by pixel."""
    paths = [data_dir / "fmd" / "raw" / f"{name}_{k}.png" for k in range(1, count + 1)]
    found = calibrate([np.asarray(Image.open(path)) for path in paths])
    assert found.gain == pytest.approx(gain, rel=0.2)
    # in the dark the photomultiplier shows 3 to 8 grey levels
    assert found.offset == pytest.approx(-intercept / gain, abs=1.5)
    assert found.read_noise < 0.3 * found.gain
    assert found.reliable


@pytest.mark.realdata
@pytest.mark.parametrize("count", [1, 4])
def test_real_wide_field_noise_is_no_photon_noise(data_dir, count):
    paths = [data_dir / "fmd" / "raw" / f"WideField_BPAE_G_{k}.png" for k in range(1, count + 1)]
    found = calibrate([np.asarray(Image.open(path)) for path in paths])
    assert not found.reliable
    assert found.words.startswith("photons cannot be counted: neighbouring pixels share their noise")
    assert found.neighbour_correlation == pytest.approx(0.58, abs=0.05)
    assert found.lag_correlations[0] == pytest.approx(0.58, abs=0.05)
    assert abs(found.lag_correlations[3]) < 0.05
    # the variance over the captures is 219 to 295 over the brightness of the field, though gain is not known
    assert 180 < found.variance_slope * 50 + found.variance_intercept < 330


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["01", "03", "05"])
def test_a_moving_crowd_with_known_noise(data_dir, name):
    """So few photons that most movement goes unnoticed: differences pixel by pixel gave gains of 2.6 to 3.9."""
    stack = tifffile.imread(data_dir / "lysosome_timelapse" / f"{name}.tif")[:10].astype(np.float64)
    middle = np.median(stack)
    light = 0.05 + np.clip(stack - middle, 0, None) / (np.percentile(stack, 99.5) - middle)
    rng = np.random.default_rng(0)
    frames = _uint16(100 + 2.2 * (rng.poisson(10 * light) + 1.6 * rng.standard_normal(light.shape)))
    found = calibrate(frames)
    assert found.gain == pytest.approx(2.2, rel=0.2)
    assert abs(found.gain / 2.2 - 1) < 2.5 * found.gain_error
    assert found.gain_error < 0.15
    assert found.offset == pytest.approx(100, abs=2.2)


@pytest.mark.parametrize("sigma", [0.4, 0.5])
@pytest.mark.parametrize("count", [1, 3])
def test_correlated_noise_is_made_up_for_and_named(sigma, count):
    """Blurring takes variance away: what holds is the line of the blurred pixels."""
    light = np.pad(blur(LIGHT, 3.0)[:, :256], [(0, 0), (0, 256)], constant_values=0.05)
    frames = [blur(frame.astype(np.float32), sigma) for frame in _camera(30, count=count, light=light)]
    kernel = blur(np.pad(np.ones((1, 1), np.float32), 10), sigma)
    found = calibrate(frames)
    assert found.variance_slope == pytest.approx(2.2 * np.sum(kernel**2), rel=0.15)
    beside = np.sum(kernel[:, 1:] * kernel[:, :-1]) / np.sum(kernel**2)
    assert found.lag_correlations[0] == pytest.approx(beside, abs=0.05)
    assert ("share their noise" in found.words) == (found.twin_correlation > 0.3)
    assert not found.structure_only


def test_structure_is_not_called_correlated_noise():
    frame = _uint16(_camera(100))
    alone = calibrate(frame)
    assert alone.neighbour_correlation > 0.3
    assert alone.structure_only
    assert "that is structure" in alone.words
    assert abs(calibrate(_uint16(_camera(100, count=2))).neighbour_correlation) < 0.05


def test_background_light_is_not_taken_for_offset():
    found = calibrate(_uint16(_camera(50, count=4, light=LIGHT + 0.2)))
    assert found.offset == pytest.approx(100, abs=2.2)
    assert found.offset_range[1] > 120
    assert found.read_noise / found.gain == pytest.approx(1.6, abs=0.7)
    assert found.photons == pytest.approx(60, rel=0.1)


def test_flicker_of_the_lamp_is_no_noise():
    brightness = [1.0, 0.97, 1.02, 0.95]
    frames = [100 + b * (frame - 100) for b, frame in zip(brightness, _camera(300, count=4), strict=True)]
    assert calibrate(_uint16(frames)).gain == pytest.approx(2.2, rel=0.1)


@pytest.mark.parametrize("count", [1, 3])
def test_hot_pixels_are_counted_and_do_no_harm(count):
    frames = _uint16(_camera(30, count=count))
    hot = np.random.default_rng(5).uniform(size=LIGHT.shape) < 1e-4
    for frame in frames:
        frame[hot] += 1500
    found = calibrate(frames)
    assert found.hot_pixels == pytest.approx(np.count_nonzero(hot), rel=0.15)
    assert found.gain == pytest.approx(2.2, rel=0.05)
    assert found.offset == pytest.approx(100, abs=1.1)
    assert found.photons == pytest.approx(30, rel=0.1)


def test_cosmic_rays_do_no_harm():
    frames = _uint16(_camera(30))
    frames[0][np.random.default_rng(5).uniform(size=LIGHT.shape) < 1e-3] += 3000
    found = calibrate(frames)
    assert found.gain == pytest.approx(2.2, rel=0.06)
    assert found.photons == pytest.approx(30, rel=0.1)


def test_saturation_is_seen_and_left_out():
    frames = [np.minimum(20 * frame, 4095).astype(np.uint16) for frame in _camera(150, count=2)]
    found = calibrate(frames)
    assert found.saturated_share == pytest.approx(np.mean([frame == 4095 for frame in frames]))
    assert found.saturated_share > 0.01
    assert found.gain == pytest.approx(44, rel=0.1)
    assert found.words.startswith("more than ")


def test_areas_without_data_are_left_out():
    frames = [frame.astype(np.float32) for frame in _camera(30, count=2)]
    for frame in frames:
        frame[:, :100] = 0
        frame[:60] = np.nan
        frame[200, 300] = np.inf
    found = calibrate(frames)
    assert found.gain == pytest.approx(2.2, rel=0.05)
    assert found.offset == pytest.approx(100, abs=1.1)


@pytest.mark.parametrize("count", [1, 3])
def test_read_noise_cut_off_at_zero_is_no_reliable_line(count):
    found = calibrate(_uint16(_camera(3, offset=0, count=count)))
    assert not found.reliable
    assert "cut off at the lower end" in found.words


def test_zeros_of_a_photon_counter_are_no_cut():
    rng = np.random.default_rng(0)
    frames = [rng.poisson(0.5 * LIGHT).astype(np.uint8) for _ in range(3)]
    found = calibrate(frames)
    assert found.gain == pytest.approx(1, rel=0.05)
    assert found.offset == pytest.approx(0, abs=0.02)
    assert found.photons == pytest.approx(0.5, rel=0.3)
    assert found.reliable


def test_copies_of_a_frame_are_one_frame():
    frame = _uint16(_camera(30))
    assert calibrate(frame * 4).gain == pytest.approx(calibrate(frame).gain, rel=1e-6)


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("kind", ["gaussian", "flat", "additive"])
def test_noise_that_says_nothing_about_photons(kind, count):
    rng = np.random.default_rng(0)
    frames = {
        "gaussian": lambda: rng.normal(50, 5, (256, 256)),
        "flat": lambda: rng.poisson(100, (256, 256)).astype(np.uint16),
        "additive": lambda: 100 + 200 * blur(LIGHT, 3.0) + rng.normal(0, 10, LIGHT.shape),
    }[kind]
    found = calibrate([frames() for _ in range(count)])
    assert not found.reliable
    assert "does not grow with the brightness" in found.words
    assert found.photons == 0 or found.gain_error > 0.15


NO_ANSWER = {
    "constant": np.full((64, 64), 7, np.uint8),
    "black": np.zeros((64, 64), np.float32),
    "saturated": np.full((64, 64), 255, np.uint8),
    "no numbers": np.full((64, 64), np.nan, np.float32),
    "one pixel": np.array([[3]], np.uint16),
    "one block": np.array([[3.0, 4.0], [5.0, 6.0]]),
    "row": np.arange(700.0)[None] % 7,
    "column": np.arange(700)[:, None] % 7,
    "tiny": np.random.default_rng(0).poisson(9, (7, 9)),
    "yes or no": np.random.default_rng(0).uniform(size=(64, 64)) < 0.3,
}


@pytest.mark.parametrize("name", NO_ANSWER)
@pytest.mark.parametrize("count", [1, 3])
def test_frames_without_an_answer(name, count):
    found = calibrate([NO_ANSWER[name]] * count)
    assert all(np.isfinite(value) for value in found.figures.values())
    assert not found.reliable
    assert (found.gain, found.photons) == (0, 0)
    assert found.words.startswith("photons cannot be counted: ")


def test_saturated_frames_are_called_so():
    found = calibrate([NO_ANSWER["saturated"]])
    assert found.saturated_share == 1
    assert "100% of the pixels are saturated" in found.words


@pytest.mark.parametrize("dtype", [np.int64, np.dtype(">u2"), np.float16, np.float64])
def test_any_real_dtype(dtype):
    frames = [frame.astype(dtype) for frame in _camera(30, count=2)]
    assert calibrate(frames).gain == pytest.approx(2.2, rel=0.05)


@pytest.mark.parametrize("shape", [(700, 900), (33, 50), (1500, 64), (1100, 1024)])
def test_any_shape(shape):
    light = np.pad(LIGHT, [(0, max(0, side - 512)) for side in shape], mode="wrap")[: shape[0], : shape[1]]
    found = calibrate(_uint16(_camera(50, count=7, light=light)))
    if min(shape) < 64:
        assert all(np.isfinite(value) for value in found.figures.values())
    else:
        assert found.gain == pytest.approx(2.2, rel=0.1)


def test_no_frames_are_an_error():
    for frames in ([], [np.zeros((0, 5))]):
        with pytest.raises(ModelError, match="give the first frames"):
            calibrate(frames)


@settings(max_examples=25, deadline=None)
@given(
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-1e3, 1e3),
    count=st.integers(1, 3),
    read_noise=st.sampled_from([0.0, 1.6]),
)
def test_another_grey_scale_changes_nothing_but_the_units(scale, shift, count, read_noise):
    frames = _camera(40, count=count, light=LIGHT[:128, :192], read_noise=read_noise)
    plain, other = calibrate(frames), calibrate([scale * (frame + shift) for frame in frames])
    near = {"rel": 1e-2, "abs": 1e-2}  # frames are float32, and the shift takes digits
    assert other.gain / scale == pytest.approx(plain.gain, **near)
    step = max(0.1, plain.offset_error)  # its rules are steps: rounding may take another one
    assert other.offset / scale - shift == pytest.approx(plain.offset, abs=step)
    # the read noise is what the line of variance against brightness has left at the offset
    tolerance = plain.gain * step + 1e-2 * abs(plain.variance_intercept)
    assert (other.read_noise / scale) ** 2 == pytest.approx(plain.read_noise**2, abs=tolerance)
    assert other.photons == pytest.approx(plain.photons, **near)
    assert other.gain_error == pytest.approx(plain.gain_error, abs=1e-2)
    assert other.twin_correlation == pytest.approx(plain.twin_correlation, abs=1e-2)
    assert other.doubts == plain.doubts


def test_words_and_figures_agree():
    found = calibrate(_uint16(_camera(14, count=10)))
    assert found.words.startswith(
        "about 14 photons per pixel in the brightest structures (gain 2.2 grey levels"
    )
    assert "camera offset 100, read noise 1.6 electrons); noise is independent" in found.words
    figures = found.figures
    assert figures["gain"] == found.gain
    assert figures["lag_correlation_1"] == found.lag_correlations[0]
    assert figures["gain_known"] == figures["offset_known"] == 1
    assert all(type(value) is float for value in figures.values())


def test_spectrum_of_white_noise_is_flat():
    rng = np.random.default_rng(0)
    frames = [rng.normal(50, 5, (256, 256)).astype(np.float32) for _ in range(2)]
    white = noise_spectrum(frames, [np.zeros((256, 256), np.bool_)] * 2)
    assert white.genuine
    assert white.fine_share == pytest.approx(1, abs=0.05)
    assert np.abs(white.lag_correlations).max() < 0.03


def test_lags_are_those_of_a_moving_average():
    """Means of 3×3 pixels share 2/3, 1/3 and nothing with those 1, 2 and 3 pixels away."""
    rng = np.random.default_rng(0)
    frames = [
        sliding_window_view(rng.normal(0, 3, (402, 402)), (3, 3)).mean((2, 3)).astype(np.float32)
        for _ in range(2)
    ]
    assert calibrate(frames).lag_correlations == pytest.approx((2 / 3, 1 / 3, 0, 0), abs=0.06)
