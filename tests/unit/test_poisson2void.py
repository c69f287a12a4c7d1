"""Poisson2Void: calibrated photo-electrons, an exact blind spot, and a graph that equals the arithmetic."""

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from quietscope.config import Settings
from quietscope.models.export import export_onnx, parity_error
from quietscope.models.gaussian import blur
from quietscope.models.method import TrueOutput
from quietscope.models.poisson2void import photon_scale, prepare
from quietscope.models.poisson_network import PoissonNetwork
from quietscope.models.poisson_posterior import poisson_estimates, poisson_levels
from quietscope.models.protocols import StepBudget, TrainingSet
from quietscope.models.quality import psnr, slope
from quietscope.models.training import train

SMALL = {"bins": 32, "width": 8, "patch": 64, "batch": 2, "learning_rate": 5e-3}


def _settings(training=None, **method):
    return Settings(
        method="poisson2void", poisson2void={**SMALL, **method}, training={"threads": 1, **(training or {})}
    )


def _truth(size=96, background=2.0):
    rows, columns = np.mgrid[:size, :size]
    image = np.full((size, size), background)
    for y, x in np.random.default_rng(5).uniform(0, size, (12, 2)):
        image += 20 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 5.0**2))
    return image


def _frames(count=2, *, size=96, gain=6.0, offset=100.0, seed=0):
    rng = np.random.default_rng(seed)
    return [(offset + gain * rng.poisson(_truth(size))).astype(np.uint16) for _ in range(count)]


def _set(frames):
    return TrainingSet(frames, range(len(frames)))


def _network(estimate="posterior", seed=0, low=0.0, high=60.0):
    torch.manual_seed(seed)
    levels = poisson_levels(low, high, 48)
    network = PoissonNetwork(
        levels,
        (3.0, 1.5),
        electrons_per_unit=40.0,
        electrons_at_zero=0.7,
        estimate=estimate,
        width=8,
    ).eval()
    torch.nn.init.normal_(network.blind_spot.head.weight, std=0.5)
    return network, levels


def _denoise(model, frame, estimate=None):
    offset, scale = model.normaliser.stream.offset, model.normaliser.stream.scale
    image = torch.from_numpy(((frame - offset) / scale).astype(np.float32))[None, None]
    with torch.inference_mode():
        output = model.network(image) if estimate is None else model.network.estimates(image, estimate)
    return output.numpy()[0, 0] * scale + offset


@pytest.mark.parametrize("estimate", ["prior", "map", "posterior"])
def test_the_graph_equals_the_arithmetic(estimate):
    network, levels = _network(estimate)
    image = torch.from_numpy(np.random.default_rng(3).uniform(-0.2, 2.0, (2, 1, 24, 40)).astype(np.float32))
    with torch.inference_mode():
        graph = network(image)[:, 0].numpy()
        electrons = network.electrons(image)
        logits = network.prior(electrons).permute(0, 2, 3, 1).numpy()
    expected = getattr(poisson_estimates(logits, electrons[:, 0].numpy(), levels), estimate)
    assert graph == pytest.approx((expected - 0.7) / 40.0, abs=2e-5)


def test_the_likelihood_of_the_loss_equals_the_arithmetic():
    from quietscope.models.poisson_posterior import log_likelihood

    network, levels = _network(low=5.0, high=2000.0)
    electrons = np.array([-30.0, 0.0, 4.0, 77.7, 1990.0, 3000.0], dtype=np.float32)
    ours = network.log_likelihood(torch.from_numpy(electrons)).numpy()
    assert ours == pytest.approx(log_likelihood(electrons, levels), rel=1e-4, abs=1e-3)


def test_the_prior_never_sees_the_pixel_and_the_posterior_does():
    network, _ = _network()
    image = torch.rand(1, 1, 16, 24)
    changed = image.clone()
    changed[0, 0, 5, 9] = 1.9
    with torch.inference_mode():
        for estimate, same in (("prior", True), ("map", False), ("posterior", False)):
            before, after = (network.estimates(x, estimate)[0, 0, 5, 9] for x in (image, changed))
            assert torch.equal(before, after) is same


def test_something_brighter_than_all_levels_is_not_cut_off():
    network, _ = _network()
    image = torch.full((1, 1, 16, 16), 100.0)
    with torch.inference_mode():
        assert network(image).mean().item() == pytest.approx(100.0, rel=0.01)


def test_a_line_is_applied_to_what_is_given():
    network, _ = _network()
    image = torch.rand(1, 1, 16, 16)
    assert isinstance(network, TrueOutput)
    with torch.inference_mode():
        before = network(image)
        network.fold_line(1.25, -0.5)
        assert torch.allclose(network(image), 1.25 * before - 0.5, atol=1e-6)


@pytest.mark.parametrize("estimate", ["posterior", "map", "prior"])
def test_the_exported_graph_computes_the_same_and_takes_any_size(estimate, tmp_path):
    model = train(_set(_frames(1)), _settings(estimate=estimate), StepBudget(25))
    path = tmp_path / "model.onnx"
    export_onnx(model, path)
    assert parity_error(model, path) <= 1e-4
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert metadata["method"] == "poisson2void"
    assert metadata["pairs"] == "blind-spot"


def _scale(frames):
    return photon_scale(_set(frames).calibration, frames)


@pytest.mark.parametrize("gain", [0.4, 6.0])
def test_gain_and_offset_come_from_the_frames(gain):
    """Also where read noise adds its share: the offset then lies where the variance would be nothing."""
    rng = np.random.default_rng(1)
    read = 0.8 * gain
    truth = _truth(192, background=3.0)
    found, offset = _scale(
        [100 + gain * rng.poisson(truth) + rng.normal(0, read, truth.shape) for _ in range(4)]
    )
    assert found == pytest.approx(gain, rel=0.06)
    assert offset == pytest.approx(100 - read**2 / gain, abs=0.5 * gain)


def test_noise_that_brightness_does_not_change_counts_as_very_many_photons():
    rng = np.random.default_rng(1)
    frames = [1000 + 50 * _truth(128) + rng.normal(0, 30, (128, 128)) for _ in range(2)]
    gain, offset = _scale(frames)
    assert gain > 0
    for level in np.quantile(frames, (0.01, 0.99)):
        assert gain * (level - offset) == pytest.approx(30**2, rel=0.25)


def test_training_denoises_keeps_intensities_and_says_what_it_measured():
    *frames, later = _frames(9)
    told = []
    settings = _settings(width=16, batch=4, learning_rate=3e-3)
    model = train(_set(frames), settings, StepBudget(200), told.append)
    truth = 100 + 6.0 * _truth()
    denoised = _denoise(model, later)
    data_range = float(np.ptp(truth))
    gained = psnr(truth, denoised, data_range) - psnr(truth, later, data_range)
    assert gained > 11
    assert psnr(truth, denoised, data_range) > psnr(truth, blur(later.astype(np.float32), 1.5), data_range)
    assert slope(truth, denoised) == pytest.approx(1, abs=0.03)
    assert told[-1].loss < told[0].loss
    assert model.figures["electron_gain"] == pytest.approx(6.0, rel=0.1)
    assert model.figures["electron_offset"] == pytest.approx(100, abs=6)
    assert abs(model.figures["twin_correlation"]) < 0.15
    assert all(np.isfinite(value) for value in model.figures.values())
    scaled = {e: psnr(truth, _denoise(model, later, e), data_range) for e in ("prior", "map", "posterior")}
    assert scaled["posterior"] >= scaled["prior"] > psnr(truth, later, data_range) + 10


def test_unit_gain_takes_grey_levels_for_photo_electrons():
    prepared = prepare(_set(_frames(1)), _settings(unit_gain=True), torch.device("cpu"))
    assert (prepared.figures["electron_gain"], prepared.figures["electron_offset"]) == (1.0, 0.0)
    network = prepared.network
    stream = prepared.normaliser.stream
    grey = network.electrons((torch.tensor([100.0, 250.0]) - stream.offset) / stream.scale)
    assert grey.numpy() == pytest.approx([100.0, 250.0], rel=1e-5)


def test_same_seed_same_weights_other_seed_others():
    def weights(seed):
        model = train(_set(_frames(1)), _settings({"seed": seed}), StepBudget(3))
        return torch.cat([p.flatten() for p in model.network.parameters()])

    first = weights(1)
    assert torch.equal(first, weights(1))
    assert not torch.equal(first, weights(2))


@pytest.mark.parametrize("unit_gain", [False, True])
@pytest.mark.parametrize(
    "frames",
    [
        [np.full((64, 64), 100, dtype=np.uint16)] * 3,
        [np.zeros((40, 40), dtype=np.float32)],
        [np.full((64, 64), 65535, dtype=np.uint16)] * 2,
        [np.random.default_rng(0).poisson(0.05, (64, 64)).astype(np.uint8)],
        [np.random.default_rng(i).normal(-5, 1e-3, (37, 51)) for i in range(2)],
        [np.random.default_rng(i).normal(0, 1e9, (64, 64)) for i in range(2)],
    ],
    ids=["constant", "zero", "saturated", "nearly-empty", "tiny-negative", "huge"],
)
def test_degenerate_frames_give_a_finite_model(frames, unit_gain):
    model = train(_set(frames), _settings(unit_gain=unit_gain), StepBudget(3))
    stride = model.stride
    padded = np.pad(frames[0], [(0, -side % stride) for side in frames[0].shape], mode="edge")
    for estimate in ("prior", "map", "posterior"):
        assert np.isfinite(_denoise(model, padded, estimate)).all()


@pytest.mark.realdata
@pytest.mark.slow
def test_one_photon_limited_image_gains_six_decibels_from_itself(data_dir):
    raw, truth = (
        np.asarray(Image.open(data_dir / "fmd" / part / "Confocal_FISH_1.png")) for part in ("raw", "gt")
    )
    settings = Settings(method="poisson2void", training={"threads": 1})
    model = train(_set([raw]), settings, StepBudget(150))
    denoised = {e: np.clip(np.rint(_denoise(model, raw, e)), 0, 255) for e in ("prior", "posterior")}
    scores = {name: psnr(truth, image, 255) for name, image in denoised.items()}
    assert scores["posterior"] > psnr(truth, raw, 255) + 6
    assert scores["posterior"] >= scores["prior"]
