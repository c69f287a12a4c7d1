"""FM2S: the published network, noise and schedule, and intensities that stay true on every kind of frame."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from quietscope.config import Settings
from quietscope.models import fm2s
from quietscope.models.export import export_onnx, parity_error
from quietscope.models.fm2s import FM2SNetwork, prepare
from quietscope.models.fm2s_noise import BlockNoise, MeasuredNoise
from quietscope.models.median import median
from quietscope.models.networks import count_weights
from quietscope.models.normalisation import StreamScale
from quietscope.models.protocols import StepBudget, TrainingSet
from quietscope.models.quality import psnr, slope
from quietscope.models.training import train

CPU = torch.device("cpu")


def _settings(**options):
    return Settings(method="fm2s", fm2s=options, training={"threads": 1})


def _set(*frames):
    return TrainingSet(frames, range(len(frames)))


def _truth(size=96):
    rows, columns = np.mgrid[:size, :size]
    image = np.full((size, size), 20.0)
    for y, x in np.random.default_rng(5).uniform(0, size, (14, 2)):
        image += 150 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 5.0**2))
    return np.minimum(image, 230)


def _frame(seed=0, gain=8.0, size=96):
    return np.clip(np.random.default_rng(seed).poisson(_truth(size) / gain) * gain, 0, 255).astype(np.uint8)


def _denoise(model, frame):
    offset, scale = model.normaliser.parameters(frame[None], frame)
    image = np.pad((frame - offset[0]) / scale[0], 16, mode="symmetric").astype(np.float32)[None, None]
    with torch.inference_mode():
        denoised = model.network(torch.from_numpy(image)).numpy()[0, 0, 16:-16, 16:-16]
    return denoised * scale[0] + offset[0]


@pytest.mark.parametrize(
    ("kernels", "channels", "weights"), [((3, 3, 3), 2, 3278), ((5, 3, 5), 1, 3529), ((5, 3, 5), 2, 4430)]
)
def test_networks_have_the_published_number_of_weights(kernels, channels, weights):
    network = FM2SNetwork(kernels, channels)
    assert count_weights(network) == weights
    assert network.stride == 1
    assert network(torch.zeros(2, 1, 7, 5)).shape == (2, 1, 7, 5)


def test_a_line_is_folded_in():
    network, image = FM2SNetwork(), torch.rand(1, 1, 9, 9)
    with torch.inference_mode():
        before = network(image)
        network.fold_line(1.5, -0.25)
        network.fold_line(2.0, 1.0)
        assert torch.allclose(network(image), 3 * before + 0.5, atol=1e-6)


def test_eight_bits_keep_the_papers_scale_and_all_else_has_its_own():
    eight = prepare(_set(_frame()), _settings(), CPU).normaliser.stream
    assert (eight.offset, eight.scale) == (0, 255)
    sixteen = prepare(_set(100 + 40 * _frame().astype(np.uint16)), _settings(), CPU)
    low, high = np.percentile(100 + 40.0 * _frame(), [1, 99.9])
    assert sixteen.normaliser.stream.offset == pytest.approx(low)
    assert sixteen.normaliser.stream.scale == pytest.approx(high - low)
    assert np.percentile(sixteen.examples, 99.9) == pytest.approx(1, abs=0.01)


def test_schedule_is_the_papers():
    prepared = prepare(_set(_frame()), _settings(), CPU)
    assert prepared.learning_rate == 1e-3
    assert prepared.betas == (0.9, 0.999)
    assert prepared.largest_gradient == np.inf
    steps = [0, 1499, 1500, 2999, 3000, 3749]
    assert [prepared.rate(step / 3750) for step in steps] == [1, 1, 0.25, 0.25, 0.0625, 0.0625]
    second = prepare(_set(_frame()), _settings(variant="v2"), CPU)
    assert {second.rate(step / 3750) for step in steps} == {1.0}


def _versions(prepared, steps, whole=None):
    """What each of `steps` steps of a training of `whole` steps is trained on: input and target."""
    rng, seen = np.random.default_rng(0), []
    for step in range(steps):
        prepared.rate(step / (whole or steps))
        prepared.objective.loss(rng)
        seen.append((prepared.objective._input, prepared.objective._target))
    return seen


@pytest.mark.parametrize(("samples", "steps", "versions"), [(25, 75, 25), (4, 12, 4), (8, 8, 8), (10, 5, 5)])
def test_versions_are_spread_over_the_budget(samples, steps, versions):
    seen = _versions(prepare(_set(_frame(size=16)), _settings(samples=samples), CPU), steps)
    inputs = [id(image) for image, _ in seen]
    assert len(set(inputs)) == versions
    changes = [step for step in range(1, steps) if inputs[step] != inputs[step - 1]]
    assert changes == [version * steps // versions for version in range(1, versions)]


def test_frames_take_turns_and_their_medians_are_the_targets():
    frames = [_frame(seed, size=32) for seed in range(3)]
    seen = _versions(prepare(_set(*frames), _settings(samples=6), CPU), 6)
    for step, (noisy, target) in enumerate(seen):
        expected = median(frames[step % 3].astype(np.float32)) / 255
        for channel in range(2):
            np.testing.assert_allclose(target[0, channel].numpy(), expected, atol=1e-6)
        assert 0 <= noisy.min() < noisy.max() <= 1
        residue = (noisy - target)[0].numpy()
        assert residue.std() > 0.02
        assert abs(np.corrcoef(residue[0].ravel(), residue[1].ravel())[0, 1]) < 0.1


def test_the_second_version_begins_with_the_raw_frame():
    frame = _frame(size=32)
    prepared = prepare(_set(frame), _settings(variant="v2"), CPU)
    seen = _versions(prepared, 6, whole=2255)
    assert [id(noisy) for noisy, _ in seen].count(id(seen[0][0])) == 5
    np.testing.assert_allclose(seen[0][0][0, 0].numpy(), frame / 255, atol=1e-6)
    assert not torch.equal(seen[5][0], seen[0][0])


def _papers_noise(lowest, highest):
    recipe = fm2s._first_version(25)
    return BlockNoise(recipe.gaussian, recipe.poisson, recipe.photons, recipe.levels, (lowest, highest))


@pytest.mark.parametrize(("gain", "read_noise"), [(4.0, 3.0), (0.0, 6.0)], ids=["photons", "read-noise"])
def test_measured_noise_has_the_variance_of_the_frames(gain, read_noise):
    rng = np.random.default_rng(3)
    light = np.repeat(np.linspace(20, 150, 256)[:, None], 256, axis=1)
    shot = gain * rng.poisson(light / gain) if gain else light
    frame = (10 + shot + rng.normal(0, read_noise, light.shape)).astype(np.float32)
    stream = StreamScale(5.0, 200.0, 1.0)
    noise = MeasuredNoise.of(_set(frame).calibration, stream, (-np.inf, np.inf))
    truth = np.float32((10 + light - stream.offset) / stream.scale)
    added = (noise.add(truth[None], rng)[0] - truth) * stream.scale
    for part in (slice(0, 64), slice(192, 256)):
        assert added[part].var() == pytest.approx(gain * light[part].mean() + read_noise**2, rel=0.15)
        assert added[part].mean() == pytest.approx(0, abs=1)


def test_the_setting_takes_the_measured_noise():
    frame = _frame()
    drawn = {}
    for noise in ("published", "calibrated"):
        prepared = prepare(_set(frame), _settings(noise=noise), CPU)
        noisy, target = _versions(prepared, 1, whole=25)[0]
        drawn[noise] = float((noisy - target).std())
    assert drawn["calibrated"] < 0.9 * drawn["published"]


@pytest.mark.parametrize(
    ("value", "level"), [(0.1, 0.1), (0.5, 0.2), (0.001, 0.01)], ids=["as-is", "bright", "dark"]
)
def test_noise_has_the_papers_variance(value, level):
    image = np.full((2, 300, 300), value, np.float32)
    noisy = _papers_noise(-np.inf, np.inf).add(image, np.random.default_rng(0))
    spread = np.hypot(200 / 255 * level, np.sqrt(value * level / 30))
    middle = value / spread
    positive = value * _below(middle) + spread * np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi)
    assert noisy.mean() == pytest.approx(value, abs=4 * spread / np.sqrt(image.size))
    assert noisy.var() == pytest.approx(spread**2 + positive / 60, rel=0.03)
    clipped = _papers_noise(0, 1).add(image, np.random.default_rng(0))
    assert clipped.min() == 0
    assert clipped.max() <= 1


def _below(x):
    """Share of a normal distribution below `x`."""
    return 0.5 * float(torch.erfc(torch.tensor(-x / 2**0.5)))


def test_blocks_have_the_noise_of_their_own_level():
    image = np.full((2, 150, 160), 0.02, np.float32)
    image[:, 75:, 75:150] = 0.15
    noisy = _papers_noise(-np.inf, np.inf).add(image, np.random.default_rng(0)) - image
    quiet, loud = noisy[:, :75, :75].std(), noisy[:, 75:, 75:150].std()
    assert quiet == pytest.approx(0.0257, rel=0.05)
    assert loud == pytest.approx(0.131, rel=0.05)
    assert noisy[:, 75:, 150:].std() == pytest.approx(quiet, rel=0.1)


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_trains_to_a_denoiser_with_true_intensities(variant):
    frame, truth = _frame(), _truth()
    model = train(_set(frame), _settings(variant=variant), StepBudget(100))
    denoised = _denoise(model, frame)
    assert model.pairs == "synthetic"
    assert model.method == "fm2s"
    assert psnr(truth, denoised, 255) > psnr(truth, frame, 255) + 5
    assert psnr(truth, denoised, 255) > psnr(truth, median(frame.astype(np.float32)), 255) + 1
    assert slope(truth, denoised) == pytest.approx(1, abs=0.03)


def test_sixteen_bits_on_a_pedestal_are_denoised_as_well():
    truth = 400.0 + 12 * _truth()
    frame = (400 + 96 * np.random.default_rng(0).poisson(_truth() / 8)).astype(np.uint16)
    model = train(_set(frame), _settings(), StepBudget(100))
    denoised = _denoise(model, frame)
    assert psnr(truth, denoised, 3000) > psnr(truth, median(frame.astype(np.float32)), 3000) + 1
    assert slope(truth, denoised) == pytest.approx(1, abs=0.03)
    assert denoised.mean() == pytest.approx(truth.mean(), rel=0.01)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_is_the_one_asked_for(precision):
    settings = Settings(method="fm2s", training={"precision": precision})
    prepared = prepare(_set(_frame(size=32)), settings, CPU)
    assert prepared.figures["bfloat16"] == (precision == "bfloat16")
    loss = prepared.objective.loss(np.random.default_rng(0))
    assert loss.dtype == torch.float32
    exact = functional.mse_loss(prepared.network.body(prepared.objective._input), prepared.objective._target)
    assert float(loss.detach()) == pytest.approx(float(exact.detach()), rel=0.01)
    assert (float(loss.detach()) == float(exact.detach())) == (precision == "float32")


def test_same_seed_same_weights():
    def weights(seed):
        settings = Settings(method="fm2s", training={"threads": 1, "seed": seed})
        model = train(_set(_frame(size=32)), settings, StepBudget(8))
        return torch.cat([p.flatten() for p in model.network.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((40, 30), np.uint8),
        np.full((40, 30), 65535, np.uint16),
        np.full((2, 3), 7, np.uint8),
        np.random.default_rng(0).normal(-5, 1e-3, (37, 51)),
        np.random.default_rng(0).normal(0, 1e6, (37, 51)).astype(np.int32),
    ],
    ids=["zero", "saturated", "tiny", "negative-float", "signed"],
)
@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_unusual_frames_give_a_finite_model(frame, variant):
    model = train(_set(frame), _settings(variant=variant), StepBudget(4))
    assert np.isfinite(_denoise(model, frame)).all()


def test_large_frames_are_learnt_in_windows():
    frame = np.random.default_rng(0).poisson(30, (520, 700)).astype(np.uint8)
    seen = _versions(prepare(_set(frame), _settings(), CPU), 2)
    whole = median(frame.astype(np.float32)) / 255
    for noisy, target in seen:
        assert noisy.shape == target.shape == (1, 2, 512, 512)
        places = np.lib.stride_tricks.sliding_window_view(whole, (512, 512))[:, :, :40, :40]
        found = np.abs(places - target[0, 0, :40, :40].numpy()).max(axis=(2, 3)) < 1e-6
        assert found.any()


@pytest.mark.parametrize(
    ("microscope", "correlated", "channels"),
    [("auto", True, 1), ("auto", False, 2), ("wide-field", False, 1), ("two-photon", True, 2)],
)
def test_the_second_version_takes_the_factors_of_the_microscope(microscope, correlated, channels):
    noise = np.random.default_rng(0).normal(0, 20, (128, 128))
    if correlated:
        noise = sum(np.roll(noise, shift, (0, 1)) for shift in ((0, 0), (0, 1), (1, 0), (1, 1))) / 2
    frame = np.clip(100 + noise, 0, 255).astype(np.uint8)
    prepared = prepare(_set(frame), _settings(variant="v2", microscope=microscope), CPU)
    assert prepared.network.channels == channels


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_onnxruntime_computes_what_torch_computes(variant, tmp_path):
    model = train(_set(_frame(size=48)), _settings(variant=variant), StepBudget(6))
    export_onnx(model, tmp_path / "model.onnx")
    assert parity_error(model, tmp_path / "model.onnx") < 1e-5


@pytest.mark.realdata
def test_a_real_image_gains_on_the_median(data_dir):
    window = (slice(128, 256), slice(128, 256))
    frame, truth = (
        np.asarray(Image.open(data_dir / "fmd" / kind / "Confocal_FISH_1.png"))[window]
        for kind in ("raw", "gt")
    )
    model = train(_set(frame), _settings(), StepBudget(200))
    after = psnr(truth, np.clip(np.rint(_denoise(model, frame)), 0, 255), 255)
    assert after > psnr(truth, median(frame.astype(np.float32)), 255) + 1
