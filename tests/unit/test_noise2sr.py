"""Noise2SR: the published network, targets that the network never sees, and images that stay in their place."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from quietscope.config import Settings
from quietscope.models.export import export_onnx, parity_error
from quietscope.models.networks import count_weights
from quietscope.models.noise2sr import Noise2SRNetwork, _SubSampling, prepare
from quietscope.models.normalisation import Normaliser, StreamScale
from quietscope.models.patches import FrameStack
from quietscope.models.protocols import StepBudget, TrainingSet
from quietscope.models.quality import psnr, slope
from quietscope.models.training import train

SMALL = {"width": 8, "patch": 64, "batch": 4}


def _settings(**options):
    return Settings(method="noise2sr", noise2sr=SMALL | options, training={"threads": 1}, tiling={"tile": 96})


def _set(*frames):
    return TrainingSet(frames, range(len(frames)))


def _truth(size=96):
    rows, columns = np.mgrid[:size, :size]
    image = np.full((size, size), 4.0)
    for y, x in np.random.default_rng(5).uniform(10, size - 10, (12, 2)):
        image += 30 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 5.0**2))
    return image


def _frame(seed=0, size=96):
    return (100 + 2 * np.random.default_rng(seed).poisson(_truth(size))).astype(np.uint16)


def _denoise(model, frame):
    offset, scale = model.normaliser.parameters(frame[None], frame)
    image = np.pad((frame - offset[0]) / scale[0], 32, mode="symmetric").astype(np.float32)[None, None]
    with torch.inference_mode():
        denoised = model.network(torch.from_numpy(image)).numpy()[0, 0, 32:-32, 32:-32]
    return denoised * scale[0] + offset[0]


def test_network_has_the_published_number_of_weights():
    network = Noise2SRNetwork()
    assert count_weights(network) == 1_112_673
    assert count_weights(network) - count_weights(network.head) == 956_576
    assert network.stride == 32


@pytest.mark.parametrize("width", [8, 16, 40])
def test_size_is_doubled_in_training_and_kept_in_use(width):
    network, image = Noise2SRNetwork(width), torch.rand(2, 1, 64, 32)
    with torch.inference_mode():
        large = network.super_resolve(image)
        assert large.shape == (2, 1, 128, 64)
        cells = large.reshape(2, 32 * 2, 2, 32, 2).mean(dim=(2, 4))[:, None]
        assert torch.allclose(network(image), cells, atol=1e-5)
        before = network(image)
        network.fold_line(1.5, -0.25)
        assert torch.allclose(network(image), 1.5 * before - 0.25, atol=1e-5)


class _Repeat(nn.Module):
    """Predicts four times what it was given, and keeps it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.given = []

    def super_resolve(self, image):
        self.given.append(image)
        return functional.interpolate(self.weight * image, scale_factor=2, mode="nearest")


def _repeat(*frames, batch=8, patch=64):
    network = _Repeat()
    stack = FrameStack(
        frames, Normaliser("stream", StreamScale(0, 1, 0)), patch=patch, multiple=64, together=False
    )
    return network, _SubSampling(network, stack, batch=batch, bfloat16=False)


def test_only_pixels_that_the_network_has_not_seen_are_targets():
    frame = np.random.default_rng(0).normal(0, 1, (256, 256))
    _, objective = _repeat(frame, batch=32)
    # two independent pixels of one cell differ by twice the variance; a seen one not at all
    assert float(objective.loss(np.random.default_rng(0)).detach()) == pytest.approx(2, rel=0.02)


def test_every_pixel_of_a_cell_is_picked_as_often():
    frame = np.tile([[0.0, 1.0], [2.0, 3.0]], (96, 96))
    network, objective = _repeat(frame, batch=16)
    rng = np.random.default_rng(0)
    for _ in range(8):
        objective.loss(rng)
    given = torch.cat([image.flatten() for image in network.given]).numpy()
    values, counts = np.unique(given, return_counts=True)
    np.testing.assert_array_equal(values, [0, 1, 2, 3])
    np.testing.assert_allclose(counts / counts.sum(), 0.25, atol=0.005)


def test_patches_come_from_every_row_of_every_frame():
    rows = np.repeat(np.arange(512.0)[:, None], 128, axis=1)
    network, objective = _repeat(rows, rows + 1000, batch=64)
    rng = np.random.default_rng(0)
    for _ in range(20):
        objective.loss(rng)
    given = np.unique(torch.cat([image.flatten() for image in network.given]).numpy())
    np.testing.assert_array_equal(given, np.r_[:512, 1000:1512])


def test_predictions_are_compared_with_their_own_cells():
    rows, columns = np.mgrid[:64, :64] // 2
    _, objective = _repeat(100.0 * rows + columns)
    assert float(objective.loss(np.random.default_rng(0)).detach()) == 0


def test_trains_to_a_denoiser_with_true_intensities_in_their_place():
    frames, truth = [_frame(seed) for seed in range(3)], 100 + 2 * _truth()
    model = train(_set(*frames), _settings(), StepBudget(150))
    denoised = _denoise(model, _frame(9))
    assert model.method == "noise2sr"
    assert model.pairs == "sub-sampled"
    assert psnr(truth, denoised, 60) > psnr(truth, _frame(9), 60) + 6
    assert slope(truth, denoised) == pytest.approx(1, abs=0.03)
    # the truth's own gradients give the shift, pixels
    gradients = np.stack([g.ravel() for g in np.gradient(truth)] + [np.ones(truth.size)], axis=1)
    shift = np.linalg.lstsq(gradients, (denoised - truth).ravel(), rcond=None)[0][:2]
    assert np.abs(shift).max() < 0.15


def test_same_seed_same_weights():
    def weights(seed):
        settings = Settings(method="noise2sr", noise2sr=SMALL, training={"threads": 1, "seed": seed})
        model = train(_set(_frame(size=64)), settings, StepBudget(2))
        return torch.cat([p.flatten() for p in model.network.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize(
    "frames",
    [
        [np.zeros((40, 30), np.uint8)],
        [np.full((64, 64), 65535, np.uint16)] * 3,
        [np.full((2, 3), 7, np.uint8)],
        [np.random.default_rng(i).normal(-5, 1e-3, (70, 51)) for i in range(2)],
    ],
    ids=["zero", "saturated", "tiny", "negative-float"],
)
def test_unusual_frames_give_a_finite_model(frames):
    model = train(_set(*frames), _settings(patch=128), StepBudget(2))
    frame = np.pad(frames[0], [(0, -side % 32) for side in frames[0].shape], mode="edge")
    assert np.isfinite(_denoise(model, frame)).all()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_is_the_one_asked_for(precision):
    settings = Settings(method="noise2sr", noise2sr=SMALL, training={"precision": precision})
    prepared = prepare(_set(_frame()), settings, torch.device("cpu"))
    assert prepared.figures["bfloat16"] == (precision == "bfloat16")
    loss = prepared.objective.loss(np.random.default_rng(0))
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)


def test_onnxruntime_computes_what_torch_computes(tmp_path):
    model = train(_set(_frame()), _settings(), StepBudget(3))
    export_onnx(model, tmp_path / "model.onnx")
    assert parity_error(model, tmp_path / "model.onnx") < 1e-5
