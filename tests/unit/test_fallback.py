"""A computing device that fails in mid-run."""

import numpy as np
import pytest

from quietscope.config.errors import ModelError
from quietscope.config.faultpoints import armed
from quietscope.config.science import RuntimeSettings, TilingSettings
from quietscope.models.denoiser import Denoiser

FRAME = np.random.default_rng(0).integers(80, 400, (150, 170)).astype("uint16")


@pytest.fixture
def denoiser(filter_model):
    def make(batch: int) -> Denoiser:
        path = filter_model(np.full((3, 3), 1 / 9))
        return Denoiser(path, TilingSettings(tile=64, batch=batch), RuntimeSettings(threads=1))

    return make


def test_a_lost_device_costs_no_frame(denoiser):
    one = denoiser(batch=4)
    before = one.denoise(FRAME)
    assert one.trouble == ""
    with armed("runtime.run=lost@2x1"):
        np.testing.assert_array_equal(one.denoise(FRAME), before)
    assert "on the CPU" in one.trouble
    assert one.provider == "cpu"
    np.testing.assert_array_equal(one.denoise(FRAME), before)


def test_a_device_without_memory_gets_fewer_tiles_at_a_time(denoiser):
    one = denoiser(batch=8)
    before = one.denoise(FRAME)
    with armed("runtime.run=memory@1x2") as points:
        np.testing.assert_allclose(one.denoise(FRAME), before, rtol=1e-5)
        assert "2 from now on" in one.trouble
        calls = points["runtime.run"].passes
        one.denoise(FRAME)
        assert points["runtime.run"].passes - calls >= calls - 4, "batches stay small"


def test_a_device_without_memory_for_one_tile_is_given_up(denoiser):
    one = denoiser(batch=2)
    before = one.denoise(FRAME)
    with armed("runtime.run=memory@1x2"):
        np.testing.assert_allclose(one.denoise(FRAME), before, rtol=1e-5)
    assert "on the CPU" in one.trouble


def test_a_network_that_fails_on_the_cpu_as_well_is_said(denoiser):
    one = denoiser(batch=1)
    with armed("runtime.run=lost"), pytest.raises(ModelError, match="device is lost"):
        one.denoise(FRAME)
