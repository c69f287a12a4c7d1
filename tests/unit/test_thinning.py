"""Dealing photo-electrons out: both views are unbiased, independent, and as noisy as theory says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quietscope.config import Settings
from quietscope.models.calibration import calibrate
from quietscope.models.normalisation import Normaliser
from quietscope.models.pair_choice import choose_pairs
from quietscope.models.protocols import TrainingSet
from quietscope.models.thinning import MARGIN, Thinning

SIDE = 96


def _frames(light, gain, offset, read, count=24, seed=0):
    rng = np.random.default_rng(seed)
    shape = (count, SIDE + 2 * MARGIN, SIDE + 2 * MARGIN)
    return (offset + gain * (rng.poisson(light, shape) + read * rng.standard_normal(shape))).astype(
        np.float32
    )


def _inside(frames):
    return frames[:, MARGIN:-MARGIN, MARGIN:-MARGIN]


@pytest.mark.parametrize("light", [0.3, 4.0, 60.0])
@pytest.mark.parametrize("read", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("p", [0.5, 0.8])
def test_views_are_unbiased_and_uncorrelated_and_have_the_variance_of_theory(light, read, p):
    gain, offset = 2.2, 100.0
    frames = _frames(light, gain, offset, read)
    share = np.full((len(frames), 1, 1), p, np.float32)
    views = Thinning(gain, offset, gain * read).split(frames, share, np.random.default_rng(1))
    mean = offset + gain * light
    odds = (1 - p) / p
    for view, factor in zip(views, (1 / p, 1 / (1 - p)), strict=True):
        variance = gain**2 * (light * factor + read**2 * factor)
        assert view.mean() == pytest.approx(_inside(frames).mean(), abs=4 * np.sqrt(variance / view.size))
        assert view.mean() == pytest.approx(mean, abs=6 * np.sqrt(variance / view.size))
        assert view.var() == pytest.approx(variance, rel=0.05)
    first, second = (view - view.mean() for view in views)
    assert np.mean(first * second) / (first.std() * second.std()) == pytest.approx(0, abs=0.03)
    assert odds > 0


def test_views_are_independent_and_not_only_uncorrelated():
    """Given the first view, the mean of the second is the same whatever the first is."""
    frames = _frames(3.0, 5.0, 50.0, 0.0)
    share = np.full((len(frames), 1, 1), 0.6, np.float32)
    first, second = Thinning(5.0, 50.0, 0.0).split(frames, share, np.random.default_rng(2))
    for low, high in ((0, 52), (52, 70), (70, 90), (90, 500)):
        chosen = (first >= low) & (first < high)
        assert chosen.sum() > 1000
        error = second[chosen].std() / chosen.sum() ** 0.5
        assert second[chosen].mean() == pytest.approx(65, abs=5 * error)


def test_noise_that_does_not_depend_on_light_is_split_too():
    rng = np.random.default_rng(0)
    frames = rng.normal(500, 7, (16, SIDE, SIDE)).astype(np.float32)
    share = np.full((16, 1, 1), 0.5, np.float32)
    first, second = Thinning(0.0, 0.0, 7.0).split(frames, share, rng)
    assert first.mean() == pytest.approx(500, abs=0.2)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] == pytest.approx(0, abs=0.02)
    assert first.std() == pytest.approx(7 * 2**0.5, rel=0.02)


@settings(max_examples=40, deadline=None)
@given(
    level=st.floats(-1e3, 7e4),
    gain=st.sampled_from([0.0, 0.01, 0.5, 21.0]),
    read=st.floats(0, 100),
    p=st.floats(0.05, 0.95),
)
def test_every_frame_gives_finite_views(level, gain, read, p):
    frames = np.full((2, 40, 40), level, np.float32)
    frames[0, ::3] = 0
    views = Thinning(gain, 100.0, read).split(
        frames, np.full((2, 1, 1), p, np.float32), np.random.default_rng(0)
    )
    assert all(view.dtype == np.float32 and view.shape == (2, 24, 24) for view in views)
    assert all(np.isfinite(view).all() for view in views)


def test_thinned_pairs_come_from_the_calibration_of_the_frames():
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:192, :192]
    truth = 5 + 40 * np.exp(-((rows - 90) ** 2 + (columns - 90) ** 2) / 2000)
    frames = [(100 + 2 * rng.poisson(truth)).astype(np.uint16) for _ in range(2)]
    assert calibrate(frames).gain == pytest.approx(2, rel=0.1)
    normaliser = Normaliser.calibrate("stream", frames)
    chosen = choose_pairs(TrainingSet(frames, [0, 5]), normaliser, Settings(), 8)
    assert chosen.pairs.kind == "mixed"
    assert chosen.words == "trains on each frame split in two, in turn by its photons and by its pixels"
    thinned = choose_pairs(
        TrainingSet(frames, [0, 5]), normaliser, Settings(adaptive_sn2n={"pairs": "thinned"}), 8
    ).pairs
    batch = thinned.sample(64, rng)
    assert batch.inputs.shape == batch.targets.shape == batch.weights.shape == (128, 64, 64)
    difference = (batch.inputs - batch.targets).mean() * normaliser.stream.scale
    assert difference == pytest.approx(0, abs=0.2)
    assert np.array_equal(thinned.held_out().inputs, thinned.held_out().inputs)
