"""The simulated specimen and camera: what they claim is measured on their pictures."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.simulator import Simulator
from quietscope.adapters.simulator.camera import Camera
from quietscope.adapters.simulator.canvas import splat
from quietscope.adapters.simulator.motion import Events
from quietscope.adapters.simulator.optics import FWHM_PER_SIGMA, Blur, psf_fwhm_um
from quietscope.config import SourceError
from quietscope.config.sources import SimulatorSettings

MITO, ER = 0, 1


def settings(**changes) -> SimulatorSettings:
    return SimulatorSettings(**({"height": 144, "width": 160, "frames": 400, "seed": 5} | changes))


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(settings())


@pytest.fixture(scope="module")
def lasting() -> Simulator:
    """The same specimen without bleaching, so that only movement changes it."""
    return Simulator(settings(bleach_per_frame=0.0))


KEYS = [FrameKey(t=t, c=c) for t in (0, 1, 7, 59, 399) for c in (MITO, ER)]


def test_every_frame_and_truth_can_be_made_again_in_any_order(simulator):
    first = {key: (simulator.pixels(key), simulator.truth(key)) for key in KEYS}
    again = Simulator(settings())
    for key in reversed(KEYS):
        truth, pixels = again.truth(key), again.pixels(key)
        np.testing.assert_array_equal(pixels, first[key][0])
        np.testing.assert_array_equal(truth, first[key][1])


def test_another_process_makes_the_same_frames(simulator):
    program = (
        "import sys, hashlib\n"
        "from quietscope.adapters.frame import FrameKey\n"
        "from quietscope.adapters.simulator import Simulator\n"
        "from quietscope.config.sources import SimulatorSettings\n"
        "simulator = Simulator(SimulatorSettings.model_validate_json(sys.argv[1]))\n"
        "key = FrameKey(t=59, c=1)\n"
        "print(hashlib.sha256(simulator.pixels(key).tobytes() + simulator.truth(key).tobytes()).hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, settings().model_dump_json()],
        capture_output=True,
        text=True,
        check=True,
    )
    key = FrameKey(t=59, c=ER)
    here = hashlib.sha256(simulator.pixels(key).tobytes() + simulator.truth(key).tobytes()).hexdigest()
    assert done.stdout.strip() == here


def test_seeds_time_points_and_channels_differ(simulator):
    other = Simulator(settings(seed=6))
    key = FrameKey(t=3, c=MITO)
    assert not np.array_equal(other.truth(key), simulator.truth(key))
    # The noise, not only the specimen, differs between time points and channels.
    empty = simulator.specimen.empty()
    noises = [simulator.pixels(FrameKey(t=t, c=c))[empty].astype(float) for t in (0, 1) for c in (MITO, ER)]
    correlation = np.corrcoef(noises) - np.eye(4)
    assert np.abs(correlation).max() < 5 / np.sqrt(empty.sum())


def test_what_the_caller_does_with_a_truth_does_not_change_the_next(simulator):
    key = FrameKey(t=2, c=ER)
    truth = simulator.truth(key)
    kept = truth.copy()
    truth[:] = 0
    np.testing.assert_array_equal(simulator.truth(key), kept)


@pytest.mark.parametrize("key", [FrameKey(t=400), FrameKey(t=-1), FrameKey(t=0, c=2), FrameKey(t=0, z=1)])
def test_a_frame_outside_the_series_is_refused_with_the_range(simulator, key):
    with pytest.raises(SourceError, match=rf"no frame {key}.*t 0–399, c 0–1"):
        simulator.truth(key)


def test_frames_are_the_truth_plus_noise_of_the_claimed_strength(simulator):
    plan = settings()
    everything = []
    for key in KEYS:
        truth = simulator.truth(key)
        assert truth.dtype == np.float32
        pixels = simulator.pixels(key)
        assert pixels.dtype == np.uint16
        photons = (truth - plan.offset) / plan.gain
        spread = np.sqrt(plan.gain**2 * (photons + plan.read_noise**2) + 1 / 12)
        cold = np.ones(truth.size, dtype=bool)
        cold[simulator._camera.hot] = False
        everything.append(((pixels - truth) / spread).ravel()[cold])
    residual = np.concatenate(everything)
    assert abs(residual.mean()) < 4 / np.sqrt(residual.size)
    assert residual.std() == pytest.approx(1.0, abs=0.01)


def test_mean_of_many_exposures_is_the_truth(simulator):
    plan = settings()
    expected = simulator.specimen.expected(0, "mitochondria")
    rng = np.random.default_rng(1)
    total = np.zeros(expected.shape)
    repeats = 300
    for _ in range(repeats):
        total += simulator._camera.expose(expected, rng)
    error = total / repeats - simulator.truth(FrameKey(t=0, c=MITO))
    deviation = error / (plan.gain * np.sqrt((expected + plan.read_noise**2) / repeats))
    cold = np.ones(error.size, dtype=bool)
    cold[simulator._camera.hot] = False
    deviation = deviation.ravel()[cold]
    assert deviation.std() == pytest.approx(1.0, abs=0.03)
    assert np.abs(deviation).max() < 6


def camera(**changes) -> Camera:
    values = {"gain": 2.2, "offset": 100.0, "read_noise": 1.6, "hot_pixels": 0.0}
    return Camera((64, 4096), **(values | changes), rng=np.random.default_rng(0))


def test_photon_transfer_gives_gain_offset_and_read_noise():
    level = np.linspace(0, 200, 64, dtype=np.float32)
    grey = camera().expose(np.repeat(level[:, None], 4096, axis=1), np.random.default_rng(2)).astype(float)
    mean, variance = grey.mean(axis=1), grey.var(axis=1)
    weight = 1 / variance
    slope, intercept = np.polyfit(mean - 100, variance, 1, w=weight)
    assert slope == pytest.approx(2.2, rel=0.02)
    assert intercept == pytest.approx((2.2 * 1.6) ** 2, rel=0.08)
    assert mean[0] == pytest.approx(100, abs=0.2)
    dark = camera().expose(np.zeros((64, 4096), dtype=np.float32), np.random.default_rng(3)).astype(float)
    assert dark.mean() == pytest.approx(100, abs=0.03)
    assert np.sqrt(dark.var() - 1 / 12) / 2.2 == pytest.approx(1.6, rel=0.01)


def test_camera_clips_instead_of_wrapping():
    bright = camera().expose(np.full((64, 4096), 5e5, dtype=np.float32), np.random.default_rng(4))
    assert bright.min() == bright.max() == 65535
    dark = camera(offset=0.0).expose(np.zeros((64, 4096), dtype=np.float32), np.random.default_rng(4))
    assert dark.max() < 30


def test_hot_pixels_stay_where_they_are_and_are_not_in_the_truth():
    noisy = Simulator(settings(hot_pixels=0.001))
    hot = noisy._camera.hot
    assert hot.size == round(0.001 * 144 * 160)
    excess = sum(noisy.pixels(FrameKey(t=t)) - noisy.truth(FrameKey(t=t)) for t in range(40)) / 40
    assert set(np.flatnonzero(excess > 30)) == set(hot.tolist())


def test_photons_are_the_brightness_of_bright_structures_at_the_start():
    for photons in (3.0, 20.0, 500.0):
        truth = Simulator(settings(photons=photons)).truth(FrameKey(t=0, c=ER))
        assert (np.percentile(truth, 99.9) - 100) / 2.2 == pytest.approx(photons, rel=0.001)


def test_bleaching_takes_the_same_share_every_frame(lasting):
    bleached = Simulator(settings(bleach_per_frame=0.02))
    background = 100 + 2.2 * 0.05 * 20
    for t in (0, 1, 50):
        key = FrameKey(t=t, c=ER)
        whole, left = lasting.truth(key) - background, bleached.truth(key) - background
        bright = whole > 5
        np.testing.assert_allclose(left[bright] / whole[bright], 0.98**t, rtol=1e-4)


@pytest.mark.parametrize(
    ("height", "width", "seed", "modality"),
    [(144, 160, 5, "sd-sim"), (128, 300, 1, "confocal"), (400, 128, 2, "sd-sim"), (800, 700, 3, "sd-sim")],
)
def test_empty_region_is_large_and_really_empty(height, width, seed, modality):
    simulator = Simulator(settings(height=height, width=width, seed=seed, modality=modality))
    empty = simulator.specimen.empty()
    assert empty.mean() >= 0.15
    for key in (FrameKey(t=0, c=MITO), FrameKey(t=0, c=ER), FrameKey(t=83, c=MITO), FrameKey(t=399, c=ER)):
        truth = simulator.truth(key)
        np.testing.assert_allclose(truth[empty], 100 + 2.2 * 0.05 * 20, atol=2e-3)
        assert truth[~empty].max() > 100 + 2.2 * 10


def test_nucleus_is_dark_in_both_channels(simulator):
    (cell,) = simulator.specimen._cells
    y, x = np.mgrid[:144, :160].astype(float)
    nucleus = cell.depth(y, x) < -0.6
    assert nucleus.sum() > 20
    for c in (MITO, ER):
        truth = simulator.truth(FrameKey(t=0, c=c)) - 100
        assert truth[nucleus].mean() < 0.15 * np.percentile(truth, 99.9)


def test_structures_move_smoothly_and_visibly(lasting):
    for c in (MITO, ER):
        start, after, later = (lasting.truth(FrameKey(t=t, c=c)).ravel() for t in (0, 1, 59))
        assert np.corrcoef(start, after)[0, 1] > 0.99
        assert np.corrcoef(start, later)[0, 1] < 0.9


def test_mitochondria_divide_and_fuse(lasting):
    pieces = [lasting.specimen.fragments(t) for t in range(0, 400, 2)]
    change = np.diff(pieces)
    assert (change > 0).any()
    assert (change < 0).any()


def test_a_division_opens_a_dark_gap_in_the_tubule(lasting):
    mitochondria = lasting.specimen._structures["mitochondria"]
    opened = np.array([mitochondria._events.open(t) for t in range(400)])
    site = int(np.argmax((opened.max(axis=0) > 0.99) & (opened.min(axis=0) < 0.01)))
    within = np.ones((200, 220), dtype=bool)
    near = mitochondria._near_point[(mitochondria._near_site == site) & (mitochondria._near_distance < 0.8)]
    place = int(near[0])
    light = []
    for t in (int(np.argmin(opened[:, site])), int(np.argmax(opened[:, site]))):
        sharp, far = mitochondria.render(t, 20, within, within)
        moved = mitochondria._waves.moved(
            mitochondria._y[[place]], mitochondria._x[[place]], mitochondria._body[[place]], t
        )
        y, x = (round(float(value[0])) + 20 for value in moved)
        light.append(float((sharp + far)[y - 1 : y + 2, x - 1 : x + 2].sum()))
    assert light[0] > 0
    assert light[1] < 0.5 * light[0]


def test_events_do_not_depend_on_earlier_questions_and_are_continuous():
    events = Events.random(np.random.default_rng(0), 500, period=(60, 220), likely=0.6)
    levels = np.array([events.open(t) for t in range(2000)])
    np.testing.assert_array_equal(events.open(777), levels[777])
    assert levels.min() == 0
    assert levels.max() == 1
    # An event takes at least 5.4 frames to open: 9 % of the shortest cycle, at a slope of at most 1.5 of the ramp.
    assert np.abs(np.diff(levels, axis=0)).max() <= 1.5 / 5.4 + 1e-9
    active = (levels > 0.5).mean()
    assert 0.1 < active < 0.35


@pytest.mark.parametrize("channel", ["mitochondria", "er"])
def test_point_spread_function_has_the_claimed_width_and_no_negative_lobe(channel):
    widths = {}
    for modality in ("sd-sim", "confocal"):
        pixel = 0.02
        sigma = psf_fwhm_um(modality, channel) / FWHM_PER_SIGMA / pixel
        point = np.zeros((128, 128), dtype=np.float32)
        point[64, 64] = 1
        profile = Blur((128, 128), (sigma,))(point)
        assert profile.min() >= 0
        assert profile.sum() == pytest.approx(1, rel=1e-3)
        line = profile[64] / profile[64].max()
        right = np.interp(-0.5, -line[64:], np.arange(64))
        widths[modality] = 2 * right * pixel
        assert widths[modality] == pytest.approx(psf_fwhm_um(modality, channel), rel=0.02)
    assert widths["confocal"] / widths["sd-sim"] == pytest.approx(1.6, rel=0.03)


def test_sharper_modalities_show_finer_structure():
    def fine_share(modality: str) -> float:
        truth = Simulator(settings(modality=modality)).truth(FrameKey(t=0, c=ER))
        power = np.abs(np.fft.fft2(truth - truth.mean())) ** 2
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(144), np.fft.fftfreq(160), indexing="ij"))
        return float(power[frequency > 0.15].sum() / power.sum())

    assert fine_share("sd-sim") > 1.2 * fine_share("confocal")
    assert fine_share("sim") > 2 * fine_share("wide-field")


def half_widths(light: np.ndarray) -> np.ndarray:
    """Full widths at half maximum of ridges that run along a row, measured on their profiles down the column."""
    peak = (
        (light[8:-8] > light[7:-9]) & (light[8:-8] > light[9:-7]) & (light[8:-8] > np.percentile(light, 93))
    )
    widths = []
    for row, column in np.add(np.argwhere(peak[:, 1:-1]), (8, 1)):
        profile = light[row - 8 : row + 9, column]
        level = profile[8] / 2
        neighbours = light[row, [column - 1, column + 1]]
        if np.abs(neighbours / profile[8] - 1).max() > 0.05 or (profile[[0, -1]] > level / 2).any():
            continue
        above, below = profile[8::-1], profile[8:]
        widths.append(np.interp(-level, -above, np.arange(9)) + np.interp(-level, -below, np.arange(9)))
    return np.array(widths)


def test_tubules_are_sampled_by_three_to_five_pixels():
    simulator = Simulator(SimulatorSettings())
    for c in (MITO, ER):
        light = simulator.truth(FrameKey(t=0, c=c)).astype(float) - (100 + 2.2 * 1.5)
        widths = half_widths(light)
        assert widths.size > 40
        assert 3.0 <= np.median(widths) <= 5.0


def test_points_of_light_keep_their_place_and_their_light():
    within = np.ones((20, 30), dtype=bool)
    y, x, light = np.array([4.25, 12.0]), np.array([7.75, 20.5]), np.array([2.0, 5.0])
    canvas = splat(y, x, light, within)
    assert canvas.sum() == pytest.approx(7.0)
    rows, columns = np.mgrid[:20, :30]
    assert (canvas * rows).sum() / 7 == pytest.approx((y * light).sum() / 7)
    assert (canvas * columns).sum() / 7 == pytest.approx((x * light).sum() / 7)
    within[12, 20] = False
    assert splat(y, x, light, within).sum() == pytest.approx(2.0)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 333), (64, 64)])
def test_unusual_frame_sizes_work(height, width):
    simulator = Simulator(settings(height=height, width=width))
    for c in (MITO, ER):
        truth = simulator.truth(FrameKey(t=1, c=c))
        assert truth.shape == simulator.pixels(FrameKey(t=1, c=c)).shape == (height, width)
        assert np.isfinite(truth).all()
        assert truth.max() > truth.min()


def test_a_long_series_needs_no_history():
    endless = Simulator(settings(frames=10_000_000, bleach_per_frame=0))
    truth = endless.truth(FrameKey(t=9_999_999, c=MITO))
    assert np.percentile(truth, 99.9) - 100 > 0.5 * 2.2 * 20


def test_cache_is_bounded(simulator):
    for t in range(12):
        simulator.truth(FrameKey(t=t, c=t % 2))
    assert len(simulator._cache) <= 4
