"""The published network is trained as it is described, and goes the way of all models."""

import numpy as np
import pytest
import torch

from quietscope.config import Settings
from quietscope.models import published_sn2n
from quietscope.models.networks import count_weights
from quietscope.models.protocols import TrainingSet


def test_the_published_network_learns_between_zero_and_one():
    options = {"normalisation": "minmax", "pairs": "spatial", "patch": 32, "batch": 2}
    settings = Settings(adaptive_sn2n=options, training={"precision": "float32"})
    frames = list(np.random.default_rng(0).poisson(20, (2, 64, 64)).astype(np.uint16))
    prepared = published_sn2n.prepare(TrainingSet(frames, range(2)), settings, torch.device("cpu"))
    assert count_weights(prepared.network) == 17_266_241
    assert (prepared.pairs, prepared.learning_rate, prepared.rate(0.9)) == ("spatial", 2e-4, 1.0)
    loss = prepared.objective.loss(np.random.default_rng(0))
    loss.backward()
    assert 0 < float(loss.detach()) < 1
    assert prepared.objective.validate() is None
    network = prepared.network.eval()
    with torch.inference_mode():
        image = torch.zeros(1, 1, network.stride, 2 * network.stride)
        before = network(image)
        network.fold_line(2.0, 0.5)
        assert network(image).numpy() == pytest.approx(2 * before.numpy() + 0.5)
    assert 0 < float(before.min()) <= float(before.max()) < 1
