"""Several networks at a time: only where they pay, each on its share of the cores, and all compute the same."""

import numpy as np
import pytest

from quietscope.config import Settings
from quietscope.daemon.lanes import frames_at_once, lanes
from quietscope.daemon.ready_denoiser import ready_denoiser
from quietscope.models.openvino_runtime import openvino_precisions

SHAPE = (96, 128)


@pytest.fixture
def model(filter_model):
    return filter_model(np.full((3, 3), 1 / 9), receptive_field=8)


def _lanes(model, provider, threads, **processor):
    settings = Settings(runtime={"provider": provider, "threads": threads}, processor=processor)
    ready = ready_denoiser(model, settings, SHAPE, lambda *_: None)
    return ready, lanes(model, ready, settings, SHAPE)


@pytest.mark.parametrize(
    ("provider", "threads", "at_once"), [("cpu", 2, 2), ("openvino", 1, 2), ("openvino", 2, 1)]
)
def test_frames_go_one_after_the_other(model, provider, threads, at_once):
    if provider == "openvino" and not openvino_precisions():
        pytest.skip("OpenVINO is not installed")
    assert _lanes(model, provider, threads, frames_at_once=at_once)[1] == ()


@pytest.mark.skipif(not openvino_precisions(), reason="OpenVINO is not installed")
def test_lanes_are_networks_of_their_own_that_compute_the_same(model):
    ready, found = _lanes(model, "openvino", 4)
    assert len(found) == 2
    assert len({id(one) for one in (ready.denoiser, *found)}) == 3
    frame = np.random.default_rng(2).poisson(50, SHAPE).astype(np.uint16)
    expected = ready.denoiser.denoise(frame)
    for lane in found:
        assert lane.provider == ready.denoiser.provider
        np.testing.assert_allclose(lane.denoise(frame), expected, rtol=1e-6)


def test_each_frame_has_a_core_at_least():
    settings = Settings(runtime={"provider": "cpu", "threads": 3}, processor={"frames_at_once": 16})
    assert frames_at_once(settings) == 3


@pytest.mark.skipif(not openvino_precisions(), reason="OpenVINO is not installed")
def test_networks_that_take_much_memory_are_not_loaded_again(model, monkeypatch):
    monkeypatch.setattr("quietscope.daemon.lanes.MOST_BYTES", -(1 << 40))
    assert _lanes(model, "openvino", 4)[1] == ()
