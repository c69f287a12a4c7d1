"""Structured illumination: the reconstruction against its own theory, and the noise of its frames."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.simulator import Simulator
from quietscope.adapters.simulator.illumination import Illumination
from quietscope.adapters.simulator.optics import cutoff_per_um, lens_transfer
from quietscope.adapters.simulator.sim_reconstruction import SimReconstruction
from quietscope.config import SettingsError
from quietscope.config.loader import load_settings
from quietscope.config.sources import SimulatorSettings

MITO, ER = 0, 1


def sim(**changes) -> Simulator:
    wanted = {"modality": "sim", "height": 144, "width": 160, "frames": 400, "seed": 5, "hot_pixels": 0.0}
    return Simulator(SimulatorSettings(**(wanted | changes)))


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return sim()


def frequencies(shape: tuple[int, int]) -> np.ndarray:
    return np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :])


def through(picture: np.ndarray, transfer: np.ndarray) -> np.ndarray:
    return np.fft.ifft2(np.fft.fft2(picture) * transfer).real


def exposures(item: np.ndarray, frequency: float, cutoff: float) -> list[np.ndarray]:
    """Nine pictures of an object, from the definition of the experiment and nothing of the package's code."""
    height, width = item.shape
    y, x = np.mgrid[:height, :width]
    nu = np.minimum(frequencies(item.shape) / cutoff, 1)
    lens = 2 / np.pi * (np.arccos(nu) - nu * np.sqrt(1 - nu**2))
    taken = []
    for angle in np.deg2rad([10, 70, 130]):
        wave_y = round(frequency * np.sin(angle) * height) / height
        wave_x = round(frequency * np.cos(angle) * width) / width
        for phase in (0, 2 * np.pi / 3, 4 * np.pi / 3):
            stripes = 1 + 0.8 * np.cos(2 * np.pi * (wave_y * y + wave_x * x) + phase)
            taken.append((through(item * stripes, lens) / 9).astype(np.float32))
    return taken


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(40, 90), st.integers(40, 90)),
    cutoff=st.floats(0.15, 0.48),
    share=st.floats(0.5, 0.95),
    seed=st.integers(0, 9),
)
def test_noiseless_exposures_give_the_object_seen_through_the_claimed_transfer(shape, cutoff, share, seed):
    item = np.random.default_rng(seed).random(shape)
    reconstruction = SimReconstruction(Illumination(shape, share * cutoff), cutoff)
    found = reconstruction(exposures(item, share * cutoff, cutoff))
    assert found.shape == shape
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, through(item, reconstruction.transfer), atol=2e-5)


@pytest.mark.parametrize(("pixel_um", "channel"), [(0.065, "mitochondria"), (0.0325, "er")])
def test_transfer_is_the_apodisation_of_the_extended_band(pixel_um, channel):
    shape = (240, 256)
    cutoff = cutoff_per_um(channel) * pixel_um
    transfer = SimReconstruction(Illumination(shape, 0.9 * cutoff), cutoff).transfer
    frequency = frequencies(shape)
    end = min(1.9 * cutoff, 0.5)
    assert transfer[0, 0] == pytest.approx(1)
    # The stripes' vectors are rounded to points of the grid: by up to half a period in 240 pixels.
    assert np.abs(transfer[frequency > end + 0.7 / 240]).max() == 0
    inside = frequency < 0.9 * cutoff
    np.testing.assert_allclose(transfer[inside], lens_transfer(frequency[inside] / end), atol=0.06)
    # Beyond what the lens alone lets through, along the directions of the stripes.
    for angle in np.deg2rad([10, 70, 130]):
        reach = np.linspace(cutoff, min(1.5 * cutoff, 0.9 * end), 20)
        y = np.rint(reach * np.sin(angle) * shape[0]).astype(int)
        x = np.rint(reach * np.cos(angle) * shape[1]).astype(int)
        kept = transfer[y, x] / lens_transfer(frequency[y, x] / end)
        assert kept.min() > 0.5


@pytest.mark.parametrize("apart", [(0, 5), (5, 0), (3, 4), (4, -3)])
def test_two_points_closer_than_the_wide_field_limit_are_resolved(apart):
    # 0.1625 µm: the wide-field picture shows two points at 525 nm from 0.176 µm on (Sparrow: 0.47 λ/NA).
    shape, cutoff = (128, 128), cutoff_per_um("er") * 0.0325
    item = np.zeros(shape)
    item[60, 60] = item[60 + apart[0], 60 + apart[1]] = 1.0
    taken = exposures(item, 0.9 * cutoff, cutoff)
    sharp = SimReconstruction(Illumination(shape, 0.9 * cutoff), cutoff)(taken)

    def dip(picture: np.ndarray) -> float:
        """Brightness in the middle between the points (by Fourier interpolation), share of that at the points."""
        wave_y, wave_x = np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128)[None, :]
        turn = np.exp(2j * np.pi * (wave_y * (60 + apart[0] / 2) + wave_x * (60 + apart[1] / 2)))
        return float((np.fft.fft2(picture) * turn).sum().real / 128**2 / picture[60, 60])

    assert dip(np.sum(taken, axis=0)) > 1.0
    assert dip(sharp) < 0.75


def test_nine_exposures_are_wanted():
    reconstruction = SimReconstruction(Illumination((40, 40), 0.2), 0.25)
    with pytest.raises(ValueError, match="zip"):
        reconstruction([np.zeros((40, 40), np.float32)] * 8)


def test_patterns_add_up_to_uniform_light_and_have_the_claimed_depth():
    patterns = list(Illumination((72, 80), 0.25).patterns())
    assert len(patterns) == 9
    for angle in range(3):
        np.testing.assert_allclose(sum(patterns[3 * angle : 3 * angle + 3]), 3.0, atol=1e-5)
    for pattern in patterns:
        assert pattern.mean() == pytest.approx(1, abs=1e-6)
        assert pattern.std() == pytest.approx(0.8 / math.sqrt(2), rel=1e-4)


def test_every_frame_and_truth_can_be_made_again_in_any_order(simulator):
    keys = [FrameKey(t=t, c=c) for t in (0, 1, 59) for c in (MITO, ER)]
    first = {key: (simulator.pixels(key), simulator.truth(key)) for key in keys}
    again = sim()
    for key in reversed(keys):
        truth, pixels = again.truth(key), again.pixels(key)
        assert (truth.dtype, pixels.dtype) == (np.float32, np.uint16)
        assert truth.shape == pixels.shape == (144, 160)
        np.testing.assert_array_equal(pixels, first[key][0])
        np.testing.assert_array_equal(truth, first[key][1])


def test_mean_of_many_frames_is_the_truth(simulator):
    key = FrameKey(t=3, c=MITO)
    truth = simulator.truth(key)
    structured = simulator._structured
    repeats = 60
    taken = np.array(
        [structured.pixels(3, "mitochondria", np.random.default_rng(k)).astype(float) for k in range(repeats)]
    )
    deviation = (taken.mean(axis=0) - truth) / (taken.std(axis=0, ddof=1) / math.sqrt(repeats))
    # Student's t with 59 degrees of freedom.
    assert deviation.std() == pytest.approx(math.sqrt(59 / 57), abs=0.05)
    assert np.abs(deviation).max() < 6


def test_scale_is_nine_offsets_and_gain_per_photo_electron():
    for photons in (10.0, 300.0):
        simulator = sim(photons=photons, bleach_per_frame=0.0, gain=3.0, offset=70.0)
        light = simulator.truth(FrameKey(t=0, c=ER)).astype(float) - 9 * 70
        expected = simulator.specimen.expected(0, "er")
        assert np.percentile(expected, 99.9) == pytest.approx(photons, rel=1e-3)
        assert light.sum() == pytest.approx(3.0 * expected.sum(), rel=0.01)
        empty = simulator.specimen.empty()
        assert light[empty].mean() == pytest.approx(3.0 * 0.05 * photons, abs=0.005 * photons)
        # Sharper than the nine exposures' sum: the same light in fewer pixels.
        assert np.percentile(light, 99.9) > 3.0 * 1.05 * photons


def correlation(noise: np.ndarray, lag: int, axis: int) -> float:
    noise = noise - noise.mean()
    moved = np.roll(noise, lag, axis=axis)
    part = (slice(lag, None), slice(None)) if axis == 0 else (slice(None), slice(lag, None))
    return float((noise[part] * moved[part]).mean() / (noise**2).mean())


@pytest.mark.parametrize(("photons", "channel"), [(10.0, MITO), (30.0, ER)])
def test_noise_is_correlated_between_neighbours_as_in_real_reconstructions(photons, channel):
    simulator = sim(height=256, width=256, photons=photons)
    noises = []
    for t in (0, 1):
        key = FrameKey(t=t, c=channel)
        pixels = simulator.pixels(key)
        # Neither noise nor overshoot comes anywhere near 0, where it would be clipped.
        assert 700 < pixels.min() < 880
        noises.append(pixels - simulator.truth(key))
    for axis in (0, 1):
        lags = [correlation(noises[0], lag, axis) for lag in (1, 2, 3, 4)]
        assert 0.35 < lags[0] < 0.5
        assert -0.25 < lags[1] < -0.1
        assert abs(lags[2]) < 0.12
        assert abs(lags[3]) < 0.12
    between = np.corrcoef(noises[0].ravel(), noises[1].ravel())[0, 1]
    # Correlated noise has fewer independent values than pixels: half as many at the most here.
    assert abs(between) < 5 / math.sqrt(noises[0].size / 2)


def test_finer_pixels_spread_the_noise_over_more_of_them():
    simulator = sim(height=192, width=192, pixel_size_um=0.0325)
    key = FrameKey(t=0, c=ER)
    noise = simulator.pixels(key) - simulator.truth(key)
    lags = [correlation(noise, lag, 1) for lag in (1, 2, 3, 4)]
    assert lags[0] > 0.65
    # A honeycomb: the noise swings back before it fades.
    assert min(lags[2:]) < -0.08


def test_the_specimen_moves_and_bleaches_between_the_exposures():
    simulator = sim(bleach_per_frame=0.05)
    taken = list(simulator._structured._expected(20, "mitochondria"))
    assert len(taken) == 9
    sums = [np.sum(taken[k : k + 3], axis=0) for k in (0, 3, 6)]
    # The stripes of an angle cancel; what is left changes by bleaching, (1 − 0.05)^(0.3 · 6/9), and by movement.
    background = 0.05 * 20 / 3
    light = [s.sum() - background * s.size for s in sums]
    assert light[2] / light[0] == pytest.approx(0.95**0.2, rel=2e-3)
    still = sums[0] * (light[2] / light[0])
    assert np.abs(sums[2] - still).max() > 0.02


def test_hot_pixels_are_in_the_frames_but_not_in_the_truth():
    noisy, clean = sim(hot_pixels=0.0005), sim()
    key = FrameKey(t=0, c=MITO)
    np.testing.assert_array_equal(noisy.truth(key), clean.truth(key))
    excess = np.mean([noisy.pixels(FrameKey(t=t)) - clean.truth(FrameKey(t=t)) for t in range(20)], axis=0)
    height, width = noisy.specimen.canvas
    assert noisy._camera.hot.size == round(0.0005 * height * width)
    light = np.zeros((height, width), dtype=np.float32)
    light.reshape(-1)[noisy._camera.hot] = 1
    hot = noisy.specimen.cut(light) > 0
    assert hot.sum() > 3
    assert excess[hot].min() > 5 * excess[~hot].std()


def test_pixels_too_large_for_the_lens_are_refused():
    assert SimulatorSettings(modality="sim", pixel_size_um=0.09).pixel_size_um == 0.09
    with pytest.raises(SettingsError, match=r"pixel_size_um must be 0\.09 or less with modality 'sim'"):
        load_settings(overrides=["source.modality=sim", "source.pixel_size_um=0.1"])


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 333)])
def test_unusual_frame_sizes_work(height, width):
    simulator = sim(height=height, width=width)
    for c in (MITO, ER):
        truth = simulator.truth(FrameKey(t=1, c=c))
        assert truth.shape == simulator.pixels(FrameKey(t=1, c=c)).shape == (height, width)
        assert np.isfinite(truth).all()
        assert truth.max() > truth.min()
