"""The wide-field microscope: an ideal lens, a haze, and a camera whose noise neighbours share."""

import numpy as np
import pytest

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.simulator import Simulator
from quietscope.adapters.simulator.camera import Camera
from quietscope.adapters.simulator.optics import Blur, cutoff_per_um, psf_fwhm_um
from quietscope.config.sources import SimulatorSettings

MITO, ER = 0, 1


def wide_field(**changes) -> Simulator:
    wanted = {"modality": "wide-field", "height": 144, "width": 160, "frames": 400, "seed": 5}
    return Simulator(SimulatorSettings(**(wanted | {"hot_pixels": 0.0} | changes)))


def camera(interpolating: bool, **changes) -> Camera:
    values = {"gain": 2.2, "offset": 100.0, "read_noise": 6.4, "hot_pixels": 0.0}
    return Camera(
        (256, 1024), **(values | changes), rng=np.random.default_rng(0), interpolating=interpolating
    )


def lag(noise: np.ndarray, rows: int, columns: int) -> float:
    noise = noise - noise.mean()
    height, width = noise.shape
    near, far = noise[: height - rows, : width - columns], noise[rows:, columns:]
    return float((near * far).mean() / (noise**2).mean())


@pytest.mark.parametrize("level", [0.0, 3.0, 200.0])
def test_interpolating_camera_keeps_the_mean_and_correlates_neighbours(level):
    expected = np.full((256, 1024), level, dtype=np.float32)
    grey = camera(interpolating=True).expose(expected, np.random.default_rng(1)).astype(float)
    spread = 2.2 * np.sqrt(level + 6.4**2)
    assert grey.mean() == pytest.approx(100 + 2.2 * level, abs=5 * spread / 512)
    # (3, 8, 3)/14 along each axis leaves 82/196 of the variance per axis.
    assert grey.std() == pytest.approx(np.sqrt((spread * 82 / 196) ** 2 + 1 / 12), rel=0.02)
    for rows, columns in ((0, 1), (1, 0)):
        assert lag(grey, rows, columns) == pytest.approx(48 / 82, abs=0.015)
        assert lag(grey, 2 * rows, 2 * columns) == pytest.approx(9 / 82, abs=0.015)
        assert lag(grey, 3 * rows, 3 * columns) == pytest.approx(0, abs=0.015)


def test_interpolation_is_part_of_the_truth():
    expected = (np.random.default_rng(2).random((256, 1024)) * 50).astype(np.float32)
    source = camera(interpolating=True)
    truth = source.noiseless(expected)
    taken = [source.expose(expected, np.random.default_rng(k)).astype(float) for k in range(40)]
    error = np.mean(taken, axis=0) - truth
    deviation = error / (np.std(taken, axis=0, ddof=1) / np.sqrt(40))
    assert deviation.std() == pytest.approx(np.sqrt(39 / 37), abs=0.03)
    # Without the interpolation the picture itself is another one.
    assert np.abs(camera(interpolating=False).noiseless(expected) - truth).std() > 10


@pytest.mark.parametrize(("photons", "channel"), [(10.0, ER), (30.0, MITO)])
def test_noise_is_shared_by_neighbours_and_hardly_depends_on_the_signal(photons, channel):
    simulator = wide_field(height=256, width=256, photons=photons, bleach_per_frame=0.0)
    truth = simulator.truth(FrameKey(t=0, c=channel))
    noises = [
        simulator.pixels(FrameKey(t=t, c=channel)) - simulator.truth(FrameKey(t=t, c=channel))
        for t in range(4)
    ]
    for rows, columns in ((0, 1), (1, 0)):
        assert np.mean([lag(n, rows, columns) for n in noises]) == pytest.approx(0.585, abs=0.02)
    bright, dark = truth > np.percentile(truth, 98), truth < np.percentile(truth, 30)
    ratio = np.var([n[bright] for n in noises]) / np.var([n[dark] for n in noises])
    assert 1.0 < ratio < 1.9
    between = np.corrcoef(noises[0].ravel(), noises[1].ravel())[0, 1]
    assert abs(between) < 5 / np.sqrt(noises[0].size * 82**2 / 196**2)


@pytest.mark.parametrize("channel", ["mitochondria", "er"])
def test_ideal_lens_has_the_claimed_width_and_lets_nothing_finer_through(channel):
    pixel = 0.02
    cutoff = cutoff_per_um(channel) * pixel
    point = np.zeros((256, 256), dtype=np.float32)
    point[128, 128] = 1
    seen = Blur((256, 256), (0.0,), cutoff=cutoff)(point)
    line = seen[128, 128:] / seen[128, 128]
    first = int(np.argmax(line < 0.5))
    half = first - (0.5 - line[first]) / (line[first - 1] - line[first])
    assert 2 * half * pixel == pytest.approx(psf_fwhm_um("wide-field", channel), rel=0.02)
    assert seen.min() >= 0
    assert seen.sum() == pytest.approx(1, rel=1e-3)
    finer = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None, :]) > cutoff
    assert np.abs(np.fft.fft2(seen)[finer]).max() < 1e-4


def test_haze_is_a_broad_pedestal_with_its_share_of_the_light():
    point = np.zeros((256, 256), dtype=np.float32)
    point[128, 128] = 1
    sharp = Blur((256, 256), (0.0,), cutoff=0.3)(point)
    seen = Blur((256, 256), (0.0,), cutoff=0.3, haze=(0.4, 14.0))(point)
    assert seen.sum() == pytest.approx(sharp.sum(), rel=1e-4)
    y, x = np.mgrid[:256, :256]
    outside = np.hypot(y - 128, x - 128) > 8
    pedestal = seen[outside].sum() - 0.6 * sharp[outside].sum()
    assert pedestal == pytest.approx(0.4 * np.exp(-(8**2) / 2 / 14**2), abs=0.01)


def test_haze_fills_the_nucleus_and_photons_keep_their_meaning():
    def nucleus(simulator: Simulator, channel: str) -> float:
        """Light in the middle of the nucleus, above the background, share of bright structures."""
        expected = simulator.specimen.expected(0, channel)
        assert np.percentile(expected, 99.9) == pytest.approx(40, rel=1e-3)
        (cell,) = simulator.specimen._cells
        y, x = np.mgrid[:144, :160].astype(float)
        return float(expected[cell.depth(y, x) < -0.6].mean() / 40 - 0.05)

    for channel in ("mitochondria", "er"):
        hazy = nucleus(wide_field(photons=40.0), channel)
        assert hazy > 0.03
        assert hazy > 2 * nucleus(wide_field(photons=40.0, modality="confocal"), channel)


def test_every_frame_and_truth_can_be_made_again_in_any_order():
    simulator, again = wide_field(hot_pixels=1e-4), wide_field(hot_pixels=1e-4)
    keys = [FrameKey(t=t, c=c) for t in (0, 1, 59) for c in (MITO, ER)]
    first = {key: (simulator.pixels(key), simulator.truth(key)) for key in keys}
    for key in reversed(keys):
        np.testing.assert_array_equal(again.pixels(key), first[key][0])
        np.testing.assert_array_equal(again.truth(key), first[key][1])


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 333)])
def test_unusual_frame_sizes_work(height, width):
    simulator = wide_field(height=height, width=width)
    for c in (MITO, ER):
        truth = simulator.truth(FrameKey(t=1, c=c))
        assert truth.shape == simulator.pixels(FrameKey(t=1, c=c)).shape == (height, width)
        assert np.isfinite(truth).all()
