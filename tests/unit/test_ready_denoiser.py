"""The fastest runtime that computes the same is found, remembered, reported, and used."""

import json

import numpy as np
import pytest

from quietscope.config import Settings
from quietscope.config.faultpoints import armed
from quietscope.daemon.ready_denoiser import ready_denoiser
from quietscope.daemon.runtime_memory import recall, remember
from quietscope.models.openvino_runtime import OpenVinoRuntime, openvino_precisions
from quietscope.models.runtime_parity import Parity

SHAPE = (96, 128)
AUTO = Settings(runtime={"threads": 1})


needs_openvino = pytest.mark.skipif(not openvino_precisions(), reason="OpenVINO is not installed")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("QUIETSCOPE_CACHE", str(folder))
    return folder


@pytest.fixture
def model(filter_model):
    return filter_model(np.full((3, 3), 1 / 9), receptive_field=8)


def _ready(model, settings=AUTO):
    said = []
    ready = ready_denoiser(model, settings, SHAPE, lambda level, text: said.append((level, text)))
    return ready, said


def test_one_runtime_needs_no_choice(model, cache):
    ready, said = _ready(model, Settings(runtime={"provider": "cpu", "threads": 1}))
    assert ready.figures == {"provider": "cpu", "runtime_ms": {}, "runtime_parity": {}}
    assert said == []
    assert not cache.exists()


@needs_openvino
def test_the_choice_is_measured_told_and_remembered(model, cache):
    ready, said = _ready(model)
    milliseconds = ready.figures["runtime_ms"]
    assert {"cpu", "openvino float32"} <= set(milliseconds)
    assert ready.denoiser.provider == ready.figures["provider"] == min(milliseconds, key=milliseconds.get)
    assert all(Parity(**figures).good for figures in ready.figures["runtime_parity"].values())
    assert said == [("info", said[0][1])]
    assert ready.denoiser.provider in said[0][1]
    json.dumps(ready.figures)
    (entry,) = json.loads((cache / "runtimes.json").read_text()).values()
    # another day: what was written then decides, also where it says otherwise
    entry["ms"]["openvino float32"] = 0.001
    content = json.loads((cache / "runtimes.json").read_text())
    (cache / "runtimes.json").write_text(json.dumps(dict.fromkeys(content, entry)))
    again, _ = _ready(model)
    assert again.denoiser.provider == "openvino float32"
    assert again.figures["runtime_ms"] == entry["ms"]


@needs_openvino
def test_a_runtime_that_computes_something_else_is_not_used(model, monkeypatch):
    run = OpenVinoRuntime.run
    monkeypatch.setattr(OpenVinoRuntime, "run", lambda self, batch: 1.01 * run(self, batch))
    for settings in (AUTO, Settings(runtime={"provider": "openvino", "threads": 1})):
        ready, said = _ready(model, settings)
        assert ready.denoiser.provider == "cpu"
        assert "openvino float32" in ready.figures["runtime_parity"]
        assert any(level == "warning" and "differs from float32" in text for level, text in said)


@needs_openvino
def test_a_failure_while_runtimes_are_compared_costs_no_model(model):
    with armed("runtime.run=lost@1x1"):
        ready, said = _ready(model)
    assert ready.denoiser.provider == "cpu"
    assert "could not be compared" in said[0][1]


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', "\x00"])
def test_a_damaged_memory_is_forgotten(cache, content):
    cache.mkdir()
    (cache / "runtimes.json").write_text(content)
    assert recall("network", SHAPE, AUTO.runtime) is None
    remember("network", SHAPE, AUTO.runtime, {"cpu": 3.0})
    assert recall("network", SHAPE, AUTO.runtime) == {"cpu": 3.0}
    assert recall("network", (64, 64), AUTO.runtime) is None
    assert recall("another", SHAPE, AUTO.runtime) is None


def test_a_memory_that_cannot_be_written_stops_nothing(model, cache):
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("a file where a folder should be")
    ready, _ = _ready(model)
    assert ready.denoiser.provider == ready.figures["provider"]


def test_small_differences_are_found():
    reference = np.random.default_rng(0).random((1, 1, 64, 64), np.float32)
    assert Parity.between(reference, reference).good
    assert Parity.between(reference, reference).rms == 0
    for other in (1.006 * reference, reference + 0.0015, reference + (reference > 0.999) * 0.1):
        assert not Parity.between(reference, other.astype(np.float32)).good
