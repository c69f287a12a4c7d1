import hashlib
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quietscope.config.errors import ModelError
from quietscope.config.science import RuntimeSettings
from quietscope.models.onnx_runtime import nvidia_device_present
from quietscope.models.runtime import load_runtime

no_gpu = pytest.mark.skipif(nvidia_device_present(), reason="this machine has an NVIDIA device")


def test_a_network_runs_and_says_who_it_is(filter_model):
    path = filter_model(np.full((3, 3), 1 / 9))
    runtime = load_runtime(path, RuntimeSettings(provider="cpu", threads=1))
    batch = np.random.default_rng(0).normal(0, 1, (3, 1, 16, 24)).astype(np.float32)
    result = runtime.run(batch)
    assert result.dtype == np.float32
    assert result[1, 0, 5, 7] == pytest.approx(batch[1, 0, 4:7, 6:9].mean(), abs=1e-6)
    assert runtime.provider == "cpu"
    assert runtime.model_id == hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    assert runtime.metadata["stride"] == "8"


@no_gpu
def test_auto_is_the_cpu_without_a_gpu(filter_model):
    assert load_runtime(filter_model(), RuntimeSettings()).provider == "cpu"


@no_gpu
@pytest.mark.parametrize("provider", ["cuda", "tensorrt", "coreml"])
def test_a_provider_that_is_not_really_there_is_refused_by_name(filter_model, provider):
    with pytest.raises(ModelError, match=rf"'{provider}'.*set runtime.provider"):
        load_runtime(filter_model(), RuntimeSettings(provider=provider))


@no_gpu
@pytest.mark.parametrize("provider", ["auto", "cuda"])
def test_onnxruntime_is_kept_quiet(filter_model, provider):
    code = (
        "import sys, pathlib\n"
        "from quietscope.config import ModelError\n"
        "from quietscope.config.science import RuntimeSettings\n"
        "from quietscope.models.runtime import load_runtime\n"
        "try:\n    load_runtime(pathlib.Path(sys.argv[1]), RuntimeSettings(provider=sys.argv[2]))\n"
        "except ModelError:\n    pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(filter_model()), provider],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_files_that_are_no_models_are_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        load_runtime(tmp_path / "missing.onnx", RuntimeSettings())
    for content in (b"", b"no model at all", b"\x08\x08\x12\x03abc"):
        path = tmp_path / "broken.onnx"
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"broken\.onnx"):
            load_runtime(path, RuntimeSettings())


def test_a_truncated_model_is_refused(filter_model):
    path = filter_model(np.random.default_rng(0).normal(0, 1, (9, 9)))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelError, match=r"model\.onnx"):
        load_runtime(path, RuntimeSettings())


def test_weights_in_another_file_are_refused(filter_model):
    path = filter_model(np.random.default_rng(0).normal(0, 1, (65, 65)))
    model = onnx.load(path)
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(ModelError, match="another file"):
        load_runtime(path, RuntimeSettings())


def test_a_model_of_another_form_is_refused(tmp_path):
    shape = ["n", 3]
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["c"])],
        "sum",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("a", "b")],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, shape)],
    )
    path = tmp_path / "sum.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    with pytest.raises(ModelError, match="one float32 input"):
        load_runtime(path, RuntimeSettings())


def test_a_network_that_changes_the_shape_is_refused(filter_model):
    path = filter_model(np.ones((3, 3)))
    model = onnx.load(path)
    model.graph.node[0].attribute[0].CopyFrom(helper.make_attribute("pads", [0, 0, 0, 0]))
    onnx.save(model, path)
    runtime = load_runtime(path, RuntimeSettings(threads=1))
    with pytest.raises(ModelError, match="keeps it"):
        runtime.run(np.zeros((1, 1, 16, 16), np.float32))


def test_a_failing_network_names_shape_and_mend(filter_model):
    path = filter_model()
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 1, 5, 7), np.float32), "odd"))
    model.graph.node[0].output[0] = "middle"
    model.graph.node.append(helper.make_node("Add", ["middle", "odd"], ["output"]))
    onnx.save(model, path)
    runtime = load_runtime(path, RuntimeSettings(threads=1))
    with pytest.raises(ModelError, match=r"\(1, 1, 16, 16\).*tiling"):
        runtime.run(np.zeros((1, 1, 16, 16), np.float32))


def test_models_with_operations_of_others_are_refused(filter_model):
    def changed(name: str, change) -> str:
        path = filter_model(name=name)
        model = onnx.load(path)
        change(model)
        onnx.save(model, path)
        return path

    foreign = changed("foreign.onnx", lambda m: m.opset_import.append(helper.make_opsetid("com.example", 1)))
    with pytest.raises(ModelError, match=r"needs com\.example 1"):
        load_runtime(foreign, RuntimeSettings(provider="cpu"))
    for version in (7, 900):
        other = changed(f"{version}.onnx", lambda m, v=version: setattr(m.opset_import[0], "version", v))
        with pytest.raises(ModelError, match=f"needs ai.onnx {version}"):
            load_runtime(other, RuntimeSettings(provider="cpu"))
