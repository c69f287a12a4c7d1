"""Phase split: nothing is lost or mixed up on the way through, and correlated noise goes where single frames fail."""

import re

import numpy as np
import pytest
import torch

from quietscope.config import Settings
from quietscope.models.export import export_onnx, parity_error
from quietscope.models.gaussian import blur
from quietscope.models.method import DenoisingNetwork
from quietscope.models.phase_network import PhaseSplit
from quietscope.models.phases import phase_count, split_phases
from quietscope.models.protocols import StepBudget, TrainingSet
from quietscope.models.training import train


class _Identity(DenoisingNetwork):
    @property
    def stride(self):
        return 2

    def forward(self, image):
        return image


def test_phases_hold_every_kth_pixel():
    frame = np.arange(7 * 9).reshape(7, 9)
    phases = split_phases(frame, 3)
    assert len(phases) == 9
    assert phases[0].tolist() == frame[:6:3, ::3].tolist()
    assert phases[5].tolist() == frame[1:6:3, 2::3].tolist()


@pytest.mark.parametrize("k", [2, 3, 4])
def test_an_inner_network_that_does_nothing_leaves_the_3x3_mean(k):
    network = PhaseSplit(_Identity(), k)
    assert network.stride == 2 * k
    image = np.random.default_rng(0).random((2, 1, 4 * k, 6 * k), dtype=np.float32)
    out = network(torch.from_numpy(image)).numpy()
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    rows, columns = image.shape[2:]
    expected = sum(padded[:, :, i : i + rows, j : j + columns] for i in range(3) for j in range(3)) / 9
    np.testing.assert_allclose(out, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("lags", "k"),
    [
        ((0.6, 0.14, 0.01, 0.0), 2),  # an interpolating camera
        ((0.8, 0.5, 0.1, 0.0), 3),
        ((0.9, 0.7, 0.4, 0.1), 4),
        ((0.43, -0.26, -0.11, 0.21), None),  # a reconstruction
        ((0.42, -0.16, -0.03, 0.05), None),
        ((0.95, 0.8, 0.6, 0.4), None),
    ],
)
def test_the_number_of_phases_follows_the_correlation(lags, k):
    assert phase_count(lags) == k


def _scene(side=256):
    rows, columns = np.mgrid[:side, :side]
    image = np.full((side, side), 50.0)
    rng = np.random.default_rng(5)
    for y, x in rng.uniform(0, side, (25, 2)):
        image += 120 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 7.0**2))
    return image


def _correlated(truth, seed=1):
    noise = blur(np.random.default_rng(seed).standard_normal(truth.shape, dtype=np.float32), 0.7)
    return (truth + 12 * noise / noise.std()).astype(np.float32)


def test_one_frame_with_correlated_noise_is_denoised_by_phases_and_not_by_spatial_twins(tmp_path):
    truth = _scene()
    frame = _correlated(truth)

    def remaining(pairs):
        options = {"base_channels": 4, "levels": 2, "patch": 32, "batch": 8, "pairs": pairs}
        model = train(
            TrainingSet([frame], [0]),
            Settings(adaptive_sn2n=options, training={"threads": 1}),
            StepBudget(150),
        )
        offset, scale = model.normaliser.parameters(frame[None], frame)
        with torch.inference_mode():
            image = torch.from_numpy((frame - offset[0]) / scale[0])[None, None]
            denoised = model.network(image).numpy()[0, 0] * scale[0] + offset[0]
        return model, float(np.mean((denoised - truth) ** 2) / np.mean((frame - truth) ** 2))

    model, by_phases = remaining("auto")
    assert model.pairs == "phase"
    assert model.figures["phases"] == 2
    assert "every second pixel" in model.words
    assert not re.search("twin|phase|interleaved", model.words)
    assert by_phases < 0.3
    assert remaining("spatial")[1] > 1.5 * by_phases
    export_onnx(model, tmp_path / "c0.onnx")
    assert parity_error(model, tmp_path / "c0.onnx") < 1e-4
