"""Intensities stay true: the folded line is that of the truth, not of the noise that passes the network."""

import numpy as np
import pytest
import torch

from quietscope.config import Settings
from quietscope.models.calibration import calibrate
from quietscope.models.coloured_noise import SharedNoise
from quietscope.models.gaussian import blur
from quietscope.models.line import fit_line
from quietscope.models.networks import DenoisingUNet
from quietscope.models.normalisation import Normaliser
from quietscope.models.pair_choice import choose_pairs
from quietscope.models.protocols import TrainingSet
from quietscope.models.still_twins import StillTwins


def _scene(size=192):
    rng = np.random.default_rng(7)
    rows, columns = np.mgrid[:size, :size]
    image = np.full((size, size), 20.0)
    for y, x in rng.uniform(0, size, (30, 2)):
        image += rng.uniform(20, 80) * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 8.0**2))
    return image


def _averager(gain):
    """A network that mixes a pixel with its four neighbours: its own noise passes by a share of 0.4 x gain."""
    network = DenoisingUNet(4, 1).eval()
    kernel = torch.tensor([[0.0, 0.15, 0.0], [0.15, 0.4, 0.15], [0.0, 0.15, 0.0]])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        first, second = network.encoders[0][0], network.encoders[0][2]
        first.weight[0, 0] = kernel
        first.bias[0] = 10.0  # far in the linear part of the rectifier
        second.weight[0, 0, 1, 1] = 1.0
        network.head.weight[0, 0, 0, 0] = gain
        network.head.bias[0] = -10.0 * gain
    return network


@pytest.mark.parametrize("kind", [None, StillTwins], ids=["frames", "pairs"])
@pytest.mark.parametrize("gain", [0.8, 1.0, 1.2])
def test_the_line_is_that_of_the_truth(kind, gain):
    truth = _scene()
    rng = np.random.default_rng(0)
    frames = [rng.poisson(truth).astype(np.float32) for _ in range(8)]
    normaliser = Normaliser.calibrate("stream", frames)
    pairs = kind(frames, normaliser, patch=64, multiple=2) if kind is StillTwins else None
    network = _averager(gain)
    line = fit_line(network, normaliser, frames, pairs, tile=192, seed=0)
    scaled = [((f - normaliser.stream.offset) / normaliser.stream.scale)[None, None] for f in frames]
    with torch.inference_mode():
        denoised = np.concatenate([network(torch.from_numpy(image)).numpy().ravel() for image in scaled])
    target = np.tile(((truth - normaliser.stream.offset) / normaliser.stream.scale).ravel(), len(frames))
    slope, intercept = np.polyfit(denoised.astype(np.float64), target, 1)
    raw = np.polyfit(denoised.astype(np.float64), np.concatenate([s.ravel() for s in scaled]), 1)[0]
    assert line.slope == pytest.approx(slope, rel=0.006)
    assert line.intercept == pytest.approx(intercept, abs=0.004)
    assert raw > slope * 1.015, (
        "the plain line of raw on denoised must be too steep, else this proves nothing"
    )


def test_constant_output_is_left_alone():
    frames = [np.random.default_rng(i).poisson(9, (64, 64)).astype(np.uint16) for i in range(5)]
    normaliser = Normaliser.calibrate("stream", frames)
    network = _averager(0.0)
    for pairs in ("spatial", "temporal", "still"):
        settings = Settings(adaptive_sn2n={"pairs": pairs, "patch": 32})
        source = choose_pairs(TrainingSet(frames, range(5)), normaliser, settings, 2).pairs
        line = fit_line(network, normaliser, frames, source if source.raw_inputs else None, tile=64, seed=0)
        assert (line.slope, line.intercept) == (1.0, 0.0)


def test_noise_that_neighbours_share_is_taken_out_as_well():
    truth = _scene()
    rng = np.random.default_rng(0)
    fields = [blur(rng.standard_normal(truth.shape, dtype=np.float32), 0.7) for _ in range(8)]
    frames = [(truth + 9 * field / field.std()).astype(np.float32) for field in fields]
    normaliser = Normaliser.calibrate("stream", frames)
    network = _averager(1.0)
    shared = SharedNoise.of(calibrate(frames), 0.3)
    assert shared.lags[0] == pytest.approx(0.6, abs=0.05)
    scaled = [((f - normaliser.stream.offset) / normaliser.stream.scale)[None, None] for f in frames]
    with torch.inference_mode():
        denoised = np.concatenate([network(torch.from_numpy(image)).numpy().ravel() for image in scaled])
    target = np.tile(((truth - normaliser.stream.offset) / normaliser.stream.scale).ravel(), len(frames))
    slope = np.polyfit(denoised.astype(np.float64), target, 1)[0]
    white, coloured = (
        fit_line(network, normaliser, frames, None, tile=192, seed=0, shared=known).slope
        for known in (None, shared)
    )
    assert coloured == pytest.approx(slope, rel=0.02)
    assert abs(white - slope) > 2 * abs(coloured - slope)
