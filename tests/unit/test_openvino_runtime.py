"""OpenVINO computes what onnxruntime computes, in either precision, or says what is missing."""

import os
import subprocess
import sys

import numpy as np
import pytest

from quietscope.config.errors import ModelError
from quietscope.config.science import RuntimeSettings, TilingSettings
from quietscope.models import runtime as runtimes
from quietscope.models.denoiser import Denoiser
from quietscope.models.openvino_runtime import openvino_precisions
from quietscope.models.runtime import candidates, load_runtime
from quietscope.models.runtime_parity import Parity, probe

if not openvino_precisions():
    pytest.skip("OpenVINO is not installed", allow_module_level=True)
BFLOAT16 = "bfloat16" in openvino_precisions()
CPU = RuntimeSettings(provider="cpu", threads=1)


def _openvino(precision: str = "float32") -> RuntimeSettings:
    return RuntimeSettings(provider="openvino", precision=precision, threads=1)


@pytest.fixture
def model(filter_model):
    return filter_model(np.random.default_rng(0).normal(0, 0.2, (5, 5)))


def test_float32_computes_the_same_on_every_shape(model):
    reference, runtime = load_runtime(model, CPU), load_runtime(model, _openvino())
    rng = np.random.default_rng(1)
    for shape in [(1, 1, 64, 64), (3, 1, 8, 40), (1, 1, 64, 64), (1, 1, 8, 8), (2, 1, 8, 8), (1, 1, 16, 8)]:
        batch = rng.normal(size=shape).astype(np.float32)
        kept = batch.copy()
        result = runtime.run(batch)
        np.testing.assert_allclose(result, reference.run(batch), atol=1e-5)
        np.testing.assert_array_equal(batch, kept)
    assert runtime.provider == "openvino float32"
    assert (runtime.model_id, runtime.metadata) == (reference.model_id, reference.metadata)


def test_every_shape_that_was_warmed_up_is_kept(filter_model):
    path = filter_model(rule="patch", receptive_field=8)
    denoiser = Denoiser(path, TilingSettings(tile=32, overlap=0.5), _openvino())
    denoiser.warm_up((256, 256))
    kept = denoiser._runtime._runtime._requests
    assert set(kept) == {(number, 1, 32, 32) for number in range(1, 9)} | {
        (1, 1, *denoiser.network_shape((256, 256)))
    }


def test_openvino_tells_nobody(tmp_path):
    code = (
        "import sys, threading\n"
        "from quietscope.models.openvino_runtime import openvino_precisions\n"
        "assert openvino_precisions()\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
        "assert threading.active_count() == 1\n"
    )
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **home})
    assert list(tmp_path.iterdir()) == []


def test_results_are_arrays_of_their_own(model):
    runtime = load_runtime(model, _openvino())
    first = runtime.run(np.ones((1, 1, 16, 16), np.float32))
    kept = first.copy()
    runtime.run(np.zeros((1, 1, 16, 16), np.float32))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.skipif(not BFLOAT16, reason="this CPU does not multiply bfloat16")
def test_bfloat16_stays_within_the_bounds(filter_model):
    path = filter_model(np.full((3, 3), 1 / 9))
    reference, runtime = load_runtime(path, CPU), load_runtime(path, _openvino("bfloat16"))
    image = probe((64, 96), reference.metadata)
    parity = Parity.between(reference.run(image), runtime.run(image))
    assert parity.good
    assert parity.rms > 1e-7  # it is another arithmetic
    assert runtime.provider == "openvino bfloat16"
    assert load_runtime(path, _openvino("auto")).provider == "openvino bfloat16"


def test_a_failing_network_names_shape_and_mend(model):
    runtime = load_runtime(model, _openvino())
    with pytest.raises(ModelError, match=r"\(1, 2, 16, 16\).*runtime.provider"):
        runtime.run(np.zeros((1, 2, 16, 16), np.float32))


def test_a_network_that_changes_the_shape_is_refused(filter_model):
    import onnx
    from onnx import helper

    path = filter_model(np.ones((3, 3)))
    changed = onnx.load(path)
    changed.graph.node[0].attribute[0].CopyFrom(helper.make_attribute("pads", [0, 0, 0, 0]))
    onnx.save(changed, path)
    with pytest.raises(ModelError, match="keeps it"):
        load_runtime(path, _openvino()).run(np.zeros((1, 1, 16, 16), np.float32))


def test_what_is_allowed_and_present_is_a_candidate():
    names = [(option.provider, option.precision) for option in candidates(RuntimeSettings())]
    assert ("cpu", "float32") in names
    assert ("openvino", "float32") in names
    assert (("openvino", "bfloat16") in names) == BFLOAT16
    only = candidates(RuntimeSettings(precision="float32"))
    assert all(option.precision == "float32" for option in only)
    assert [option.provider for option in candidates(CPU)] == ["cpu"]


def test_without_openvino_the_name_is_refused_and_auto_does_without(model, monkeypatch):
    def missing():
        return []

    monkeypatch.setattr("quietscope.models.openvino_runtime.openvino_precisions", missing)
    monkeypatch.setattr(runtimes, "openvino_precisions", missing)
    with pytest.raises(ModelError, match=r"pip install 'quietscope\[openvino\]'"):
        load_runtime(model, _openvino())
    assert {option.provider for option in candidates(RuntimeSettings())}.isdisjoint({"openvino"})
