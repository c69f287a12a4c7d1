"""Training: reproducible, refuses what it cannot use, and gives true intensities."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from quietscope.config import ModelError, Settings
from quietscope.models.hardware import choose_device, multiplies_bfloat16, thread_limit
from quietscope.models.method import warm_cosine
from quietscope.models.optimisation import fit
from quietscope.models.pair_choice import choose_pairs
from quietscope.models.pair_objective import PairObjective
from quietscope.models.protocols import StepBudget, TrainingSet
from quietscope.models.training import train

SMALL = {"base_channels": 4, "levels": 2, "stem": 1, "patch": 32, "batch": 8}


def _settings(training=None, **method):
    return Settings(adaptive_sn2n={**SMALL, **method}, training={"threads": 1, **(training or {})})


def _truth(t=0.0, size=96):
    rows, columns = np.mgrid[:size, :size]
    image = np.full((size, size), 4.0)
    rng = np.random.default_rng(5)
    for y, x in rng.uniform(0, size, (12, 2)):
        image += 30 * np.exp(-((rows - y) ** 2 + (columns - x - t) ** 2) / (2 * 4.0**2))
    return image


def _frames(count=6, *, size=96, seed=0, speed=1.5):
    rng = np.random.default_rng(seed)
    return [(100 + 2 * rng.poisson(_truth(speed * t, size))).astype(np.uint16) for t in range(count)]


def _set(frames):
    return TrainingSet(frames, range(len(frames)))


def _denoise(model, frame):
    offset, scale = model.normaliser.parameters(frame[None], frame)
    image = ((frame - offset[0]) / scale[0]).astype(np.float32)[None, None]
    with torch.inference_mode():
        return model.network(torch.from_numpy(image)).numpy()[0, 0] * scale[0] + offset[0]


def test_trains_to_a_denoiser_with_true_intensities():
    model = train(_set(_frames()), _settings(), StepBudget(150))
    assert model.pairs == "mixed"
    assert "photons" in model.words
    assert model.method == "adaptive-sn2n"
    assert not model.network.training
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}
    assert model.stride == 2
    assert model.weights == sum(p.numel() for p in model.network.parameters())
    later = _frames(9)[6:]
    truths = [100 + 2 * _truth(1.5 * t) for t in (6, 7, 8)]
    denoised = [_denoise(model, frame) for frame in later]
    before = np.mean([np.mean((frame - truth) ** 2) for frame, truth in zip(later, truths, strict=True)])
    after = np.mean([np.mean((image - truth) ** 2) for image, truth in zip(denoised, truths, strict=True)])
    assert 10 * np.log10(before / after) > 7
    slope = np.polyfit(np.ravel(denoised), np.ravel(truths), 1)[0]
    assert slope == pytest.approx(1, abs=0.02)


def test_same_seed_same_weights_other_seed_others():
    def weights(seed):
        model = train(_set(_frames(3)), _settings({"seed": seed}), StepBudget(12))
        return torch.cat([p.flatten() for p in model.network.parameters()])

    first = weights(1)
    assert torch.equal(first, weights(1))
    assert not torch.equal(first, weights(2))


def test_the_global_random_state_and_threads_are_left_alone():
    torch.manual_seed(11)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    train(_set(_frames(2)), _settings(), StepBudget(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_progress_is_told_and_rises_to_the_end():
    told = []
    # with a filter the first step is nearly as good as the last
    train(_set(_frames(3)), _settings(residual="pixel"), StepBudget(60), told.append)
    assert [p.step for p in told] == sorted(p.step for p in told)
    assert told[-1].step == 60
    assert told[-1].used == 1.0
    assert all(0 <= p.used <= 1 and math.isfinite(p.loss) for p in told)
    assert told[0].validation is None
    assert told[-1].validation is not None
    assert told[-1].loss < told[0].loss


def test_figures_and_hash_say_what_was_done():
    frames = _frames(4)
    model = train(_set(frames), _settings(), StepBudget(5))
    assert model.figures["steps"] == 5
    assert abs(model.figures["twin_correlation"]) < 0.3
    assert all(math.isfinite(value) for value in model.figures.values())
    assert len(model.frames_sha256) == 64
    frames[2][0, 0] += 1
    assert train(_set(frames), _settings(), StepBudget(1)).frames_sha256 != model.frames_sha256


@pytest.mark.parametrize("rule", ["stream", "image", "patch", "published", "noise"])
@pytest.mark.parametrize("method", [{"loss": "l1"}, {"self_consistency": 0.5, "stem": 2}])
def test_every_rule_and_loss_trains(rule, method):
    model = train(_set(_frames(3)), _settings(normalisation=rule, **method), StepBudget(25))
    assert np.isfinite(_denoise(model, _frames(1)[0])).all()


@pytest.mark.parametrize(
    "frames",
    [
        [np.full((64, 64), 100, dtype=np.uint16)] * 3,
        [np.zeros((40, 40), dtype=np.float32)],
        [np.full((64, 64), 65535, dtype=np.uint16)] * 5,
        [np.random.default_rng(0).poisson(0.05, (64, 64)).astype(np.uint8)] * 2,
        [np.random.default_rng(i).normal(0, 1e-3, (37, 51)) for i in range(4)],
    ],
    ids=["constant", "zero", "saturated", "nearly-empty", "tiny-float64"],
)
def test_degenerate_frames_give_a_finite_model(frames):
    model = train(_set(frames), _settings(), StepBudget(5))
    padded = np.pad(frames[0], ((0, frames[0].shape[0] % 2), (0, frames[0].shape[1] % 2)), mode="edge")
    assert np.isfinite(_denoise(model, padded)).all()


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([], "no frame"),
        ([np.array([[np.nan] * 32] * 32)], "1024 pixels that are not finite"),
        ([np.zeros((32, 32)), np.zeros((32, 33))], r"frame 1 is \(32, 33\)"),
        ([np.zeros((0, 0))], "shape"),
        ([np.zeros((2, 32, 32))], "shape"),
    ],
)
def test_unusable_frames_are_refused_by_name(frames, words):
    with pytest.raises(ModelError, match=words):
        train(_set(frames), _settings(), StepBudget(1))


def test_a_patch_that_does_not_fit_the_network_is_refused():
    with pytest.raises(ModelError, match=r"patch is 24.*stride 16"):
        train(_set(_frames(1)), _settings(patch=24, levels=5), StepBudget(1))


class _Poison:
    """A source of pairs whose first batches are not finite."""

    kind = "poison"
    raw_inputs = False
    figures: dict[str, float] = {}  # noqa: RUF012

    def __init__(self, source, bad):
        self.source = source
        self.bad = bad

    def sample(self, patches, rng):
        batch = self.source.sample(patches, rng)
        if self.bad:
            self.bad -= 1
            batch.targets[:] = np.nan
        return batch

    def held_out(self):
        return self.source.held_out()


def _poisoned(bad):
    from dataclasses import replace

    from quietscope.models.adaptive_sn2n import prepare

    training_set, settings = _set(_frames(3)), _settings()
    prepared = prepare(training_set, settings, torch.device("cpu"))
    pairs = choose_pairs(training_set, prepared.normaliser, settings, multiple=2).pairs
    objective = PairObjective(prepared.network, _Poison(pairs, bad), batch=8)
    return replace(prepared, objective=objective)


@pytest.mark.parametrize(("bad", "restarts"), [(0, 0), (1, 1)])
def test_divergence_starts_anew_once(bad, restarts):
    prepared = _poisoned(bad)
    done = fit(prepared, seed=0, budget=StepBudget(40))
    assert done.restarts == restarts
    assert done.steps == 40
    assert math.isfinite(done.validation)
    assert all(torch.isfinite(p).all() for p in prepared.network.parameters())


def test_divergence_for_good_is_an_error_with_the_mend():
    with pytest.raises(ModelError, match=r"adaptive_sn2n\.learning_rate"):
        fit(_poisoned(1000), seed=0, budget=StepBudget(40))


def test_learning_rate_rises_falls_and_ends_at_nothing():
    rates = [warm_cosine(share) for share in np.linspace(0, 1, 201)]
    top = int(np.argmax(rates))
    assert 0 < top < 20
    assert rates[top] == pytest.approx(1.0)
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_a_missing_gpu_is_named():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ModelError, match="CUDA"):
        choose_device("cuda")


def test_bfloat16_trains_as_well_as_float32():
    if not multiplies_bfloat16(torch.device("cpu")):
        pytest.skip("this CPU does not multiply bfloat16 natively")
    losses = [
        train(_set(_frames()), _settings({"precision": p}), StepBudget(80)).figures["validation_loss"]
        for p in ("float32", "bfloat16")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_thread_limit_is_undone_after_an_error():
    before = torch.get_num_threads()
    inside = []

    def fail():
        inside.append(torch.get_num_threads())
        raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"), thread_limit(1):
        fail()
    assert inside == [1]
    assert torch.get_num_threads() == before


@pytest.mark.realdata
@pytest.mark.slow
def test_fixed_cells_gain_eight_decibels_in_a_hundred_steps(data_dir):
    folder = data_dir / "fmd_50captures"
    frames = [np.asarray(Image.open(p)) for p in sorted((folder / "raw").glob("*.png"))]
    truth = np.asarray(Image.open(folder / "gt_avg50.png")).astype(np.float64)
    settings = Settings(training={"threads": 1})
    model = train(_set(frames[:10]), settings, StepBudget(100))
    assert model.pairs == "still"
    gains = []
    for frame in frames[10::20]:
        denoised = np.clip(np.rint(_denoise(model, frame)), 0, 255)
        gains.append(10 * np.log10(np.mean((frame - truth) ** 2) / np.mean((denoised - truth) ** 2)))
    assert np.mean(gains) > 7
