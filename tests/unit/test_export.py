"""The exported file says all that inference needs, computes the same, and appears whole or not at all."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from quietscope.config import ModelError, Settings
from quietscope.models.export import FORMAT, export_onnx, parity_error
from quietscope.models.normalisation import Normaliser
from quietscope.models.protocols import StepBudget, TrainingSet
from quietscope.models.training import train


def _model(**method):
    rng = np.random.default_rng(0)
    frames = [(100 + rng.poisson(10 + 5 * i, (64, 64))).astype(np.uint16) for i in range(3)]
    options = {"base_channels": 4, "levels": 2, "patch": 32, "batch": 4, "stem": 1, **method}
    settings = Settings(adaptive_sn2n=options, training={"threads": 1}, tiling={"tile": 128})
    return train(TrainingSet(frames, range(3)), settings, StepBudget(3))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = _model()
    path = tmp_path_factory.mktemp("export") / "deep" / "model.onnx"
    export_onnx(model, path)
    return model, path


def test_file_is_valid_and_self_contained(exported):
    _, path = exported
    onnx.checker.check_model(onnx.load(path, load_external_data=False), full_check=True)
    assert [entry.name for entry in path.parent.iterdir()] == ["model.onnx"]


def test_metadata_rebuild_the_scale_and_name_the_model(exported):
    model, path = exported
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert Normaliser.from_metadata(metadata) == model.normaliser
    assert metadata["quietscope.format"] == FORMAT
    assert metadata["method"] == "adaptive-sn2n"
    assert metadata["pairs"] == model.pairs
    assert metadata["stride"] == "2"
    assert metadata["tile"] == "128"
    assert metadata["frames_sha256"] == model.frames_sha256
    assert metadata["weights"] == str(model.weights)
    assert json.loads(metadata["figures"]) == dict(model.figures)
    assert json.loads(metadata["versions"])["torch"] == torch.__version__


def test_batch_height_and_width_are_free(exported):
    _, path = exported
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,), (returned,) = session.get_inputs(), session.get_outputs()
    assert (given.name, returned.name) == ("input", "output")
    assert given.shape == ["batch", 1, "height", "width"]
    for shape in ((1, 1, 2, 2), (5, 1, 34, 20), (2, 1, 256, 128)):
        assert session.run(None, {"input": np.zeros(shape, np.float32)})[0].shape == shape


@pytest.mark.parametrize("method", [{}, {"stem": 2}, {"stem": 4, "levels": 1}])
def test_onnxruntime_computes_what_torch_computes(method, tmp_path):
    model = _model(**method)
    path = tmp_path / "model.onnx"
    export_onnx(model, path)
    assert parity_error(model, path) < 1e-5


def test_parity_notices_other_weights(exported, tmp_path):
    model, path = exported
    other = _model(base_channels=8)
    assert parity_error(other, path) > 1e-3
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"broken\.onnx"):
        parity_error(model, broken)


def test_an_older_file_survives_a_failed_export(exported, tmp_path, monkeypatch):
    model, _path = exported
    target = tmp_path / "model.onnx"
    target.write_bytes(b"old")

    def full_disk(*_args, **_keywords):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(ModelError, match="no space left"):
        export_onnx(model, target)
    assert target.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]


def test_export_is_silent(capfd, recwarn, tmp_path):
    export_onnx(_model(), tmp_path / "model.onnx")
    out, err = capfd.readouterr()
    assert out == ""
    assert err == ""
    assert not recwarn.list
