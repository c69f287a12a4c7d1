"""Facts about the pairs that networks are trained on, and about the choice between them."""

import re

import numpy as np
import pytest

from quietscope.config import ModelError, Settings
from quietscope.models.gaussian import blur
from quietscope.models.normalisation import Normaliser
from quietscope.models.pair_choice import choose_pairs
from quietscope.models.patches import FrameStack
from quietscope.models.protocols import TrainingSet
from quietscope.models.spatial_twins import SpatialTwins
from quietscope.models.still_twins import StillTwins
from quietscope.models.temporal_twins import TemporalTwins

LEVEL, SIGMA = 50.0, 6.0
JARGON = re.compile("twin|thinned|mixed|spatial|temporal|phase")


def _noise(count=6, shape=(128, 160), seed=0, level=LEVEL):
    rng = np.random.default_rng(seed)
    return [rng.normal(level, SIGMA, shape).astype(np.float32) for _ in range(count)]


def _source(kind, frames, *, patch=32, rule="stream"):
    normaliser = Normaliser.calibrate(rule, frames)
    if kind == "spatial":
        stack = FrameStack(frames, normaliser, patch=patch, multiple=4, together=False)
        return SpatialTwins(stack), normaliser
    if kind == "still":
        return StillTwins(frames, normaliser, patch=patch, multiple=4), normaliser
    return TemporalTwins(frames, range(len(frames)), normaliser, patch=patch, multiple=4), normaliser


KINDS = ("spatial", "temporal", "still")


@pytest.mark.parametrize("kind", KINDS)
def test_noise_of_inputs_and_targets_is_independent_and_as_strong_as_it_should_be(kind):
    source, normaliser = _source(kind, _noise())
    rng = np.random.default_rng(1)
    batches = [source.sample(16, rng) for _ in range(20)]
    inputs = (
        np.concatenate([batch.inputs for batch in batches]) * normaliser.stream.scale
        + normaliser.stream.offset
    )
    targets = (
        np.concatenate([batch.targets for batch in batches]) * normaliser.stream.scale
        + normaliser.stream.offset
    )
    expected = {"spatial": (0.5, 0.5), "temporal": (1.0, 1.0), "still": (1.0, 0.2)}[kind]
    assert inputs.var() / SIGMA**2 == pytest.approx(expected[0], rel=0.04)
    assert targets.var() / SIGMA**2 == pytest.approx(expected[1], rel=0.04)
    assert inputs.mean() == pytest.approx(LEVEL, abs=0.15)
    assert abs(np.corrcoef(inputs.ravel(), targets.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_and_targets_show_the_same_place_in_the_same_orientation(kind):
    y, x = np.mgrid[:128, :160].astype(np.float32)
    frames = [2 * x + 3 * y] * 4
    source, _ = _source(kind, frames)
    batch = source.sample(24, np.random.default_rng(0))
    inner = (slice(None), slice(4, -4), slice(4, -4))
    assert batch.inputs[inner] == pytest.approx(batch.targets[inner], abs=2e-3)
    assert batch.inputs[:24][inner] == pytest.approx(batch.inputs[24:][inner], abs=2e-3)
    ramps = {tuple(np.sign((p[0, -1] - p[0, 0], p[-1, 0] - p[0, 0])).astype(int)) for p in batch.inputs}
    assert len(ramps) == 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", ["stream", "image", "patch", "published", "noise"])
def test_every_rule_gives_finite_pairs_on_one_scale(kind, rule):
    frames = _noise(4)
    frames[1][20:60, 30:90] += 300
    source, _ = _source(kind, frames, rule=rule)
    batch = source.sample(8, np.random.default_rng(0))
    for values in (batch.inputs, batch.targets, batch.weights):
        assert values.shape == (16, 32, 32)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()


def test_training_never_sees_what_is_held_out():
    """Every frame carries its number and row in its pixels, so that patches tell where they come from."""
    rows = np.arange(256, dtype=np.float32)[:, None]
    frames = [np.broadcast_to(1000 * t + rows, (256, 64)) + np.float32(0) for t in range(5)]
    source, normaliser = _source("spatial", frames)

    def places(batch):
        values = np.rint(batch.inputs * normaliser.stream.scale + normaliser.stream.offset).astype(int)
        return {int(v) for v in values[:, 4:-4, 4:-4].ravel()}

    rng = np.random.default_rng(0)
    seen = set.union(*(places(source.sample(64, rng)) for _ in range(30)))
    held_out = places(source.held_out())
    assert len(held_out) >= 5 * 20
    assert len(seen) > 5 * 150
    assert not seen & held_out


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_is_reproducible_and_never_repeats_itself(kind):
    source, _ = _source(kind, _noise(4))
    first, again = (source.sample(8, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first.inputs, again.inputs)
    rng = np.random.default_rng(5)
    assert not np.array_equal(source.sample(8, rng).inputs, source.sample(8, rng).inputs)
    assert np.array_equal(source.held_out().inputs, source.held_out().inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_hot_pixels_are_seen_but_are_never_a_target(kind):
    frames = _noise(6)
    hot = np.zeros((128, 160), dtype=bool)
    hot[5::16, 7::16] = True
    for frame in frames:
        frame[hot] += 800
    source, normaliser = _source(kind, frames)
    assert source.figures["hot_pixels"] == hot.sum()
    batch = source.sample(64, np.random.default_rng(0))
    assert (batch.inputs.max() - batch.targets.max()) * normaliser.stream.scale > 250
    assert batch.targets.max() * normaliser.stream.scale + normaliser.stream.offset < LEVEL + 7 * SIGMA


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(9, 200), (33, 41), (64, 64), (3, 3)])
def test_small_and_odd_frames(kind, shape):
    source, _ = _source(kind, _noise(3, shape), patch=64)
    batch = source.sample(4, np.random.default_rng(0))
    side = batch.inputs.shape[1]
    assert batch.inputs.shape == (8, side, side)
    assert side % 4 == 0
    assert side <= 64
    assert np.isfinite(source.held_out().inputs).all()


def _choose(frames, kind="auto"):
    normaliser = Normaliser.calibrate("stream", frames)
    settings = Settings(adaptive_sn2n={"pairs": kind})
    return choose_pairs(TrainingSet(frames, range(len(frames))), normaliser, settings, 4)


@pytest.mark.parametrize("kind", ["temporal", "still"])
def test_pairs_of_frames_need_two_frames(kind):
    with pytest.raises(ModelError, match="two frames"):
        _choose(_noise(1), kind)


@pytest.mark.parametrize("kind", ["spatial", "thinned", "mixed"])
def test_one_frame_is_enough_for_twins_of_single_frames(kind):
    choice = _choose(_noise(1), kind)
    assert not JARGON.search(choice.words)
    assert choice.pairs.kind == kind
    assert choice.phases == 1


def test_movement_is_masked_in_temporal_twins():
    frames = _noise(2, seed=3)
    frames[1][40:72, 48:96] += 60
    source, _ = _source("temporal", frames)
    batch = source.sample(256, np.random.default_rng(0))
    moved = np.abs(batch.inputs - batch.targets) > 0
    assert 0 < (batch.weights == 0).mean() < 0.3
    difference = np.abs((batch.inputs - batch.targets)[moved & (batch.weights > 0)])
    assert (difference > 40 / source._stack.normaliser.stream.scale).mean() < 0.002


def test_temporal_partners_are_the_nearest_in_time():
    frames = [np.full((64, 64), 100.0 * t, dtype=np.float32) + f for t, f in enumerate(_noise(4, (64, 64)))]
    normaliser = Normaliser.calibrate("stream", frames)
    source = TemporalTwins(frames, [0, 1, 7, 8], normaliser, patch=16, multiple=4)
    batch = source.sample(200, np.random.default_rng(0))
    steps = np.rint((batch.inputs - batch.targets).mean(axis=(1, 2)) * normaliser.stream.scale / 100)
    assert set(np.abs(steps)) == {1.0}


def _moving(count, *, sigma_blur=0.0, speed=6):
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:192, :192]
    frames = []
    for t in range(count):
        image = 100 + 150 * np.exp(-((rows - 90) ** 2 + (columns - 40 - speed * t) ** 2) / 200)
        noise = rng.normal(0, 8, image.shape).astype(np.float32)
        frames.append((image + (blur(noise, sigma_blur) if sigma_blur else noise)).astype(np.float32))
    return frames


@pytest.mark.parametrize(
    ("frames", "kind"),
    [
        (_moving(8), "mixed"),  # independent noise, living scene
        (_moving(8, speed=0), "still"),  # independent noise, fixed scene
        (_moving(8, sigma_blur=1.0), "temporal"),  # correlated noise, living scene
        (_moving(3, speed=0), "mixed"),  # too few frames for a quiet mean
    ],
)
def test_the_choice_follows_the_measurement(frames, kind):
    choice = _choose(frames)
    assert choice.pairs.kind == kind
    assert choice.words.startswith(("trains on ", "the scene holds still: trains on "))
    assert not JARGON.search(choice.words)
    assert {"noise_std", "twin_correlation", "moving_share"} <= set(choice.pairs.figures)
