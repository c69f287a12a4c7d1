"""Fixtures for tests of single modules."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quietscope.models.normalisation import Normaliser, Rule, StreamScale

FilterModel = Callable[..., Path]


@pytest.fixture
def filter_model(tmp_path: Path) -> FilterModel:
    """Writes an ONNX file that filters its input with a fixed kernel: a denoiser whose answer is known."""

    def write(
        kernel: np.ndarray | None = None,
        *,
        rule: Rule = "stream",
        stream: StreamScale = StreamScale(100.0, 50.0, 4.0),  # noqa: B008 - frozen
        stride: int = 8,
        metadata: Mapping[str, str] | None = None,
        name: str = "model.onnx",
    ) -> Path:
        weights = np.ones((1, 1), np.float32) if kernel is None else kernel.astype(np.float32)
        radius = weights.shape[0] // 2
        sizes = ["batch", 1, "height", "width"]
        graph = helper.make_graph(
            [helper.make_node("Conv", ["input", "kernel"], ["output"], pads=[radius] * 4)],
            "filter",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, sizes)],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, sizes)],
            [numpy_helper.from_array(weights[None, None], "kernel")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        entries = {**Normaliser(rule, stream).to_metadata(), "stride": str(stride)}
        helper.set_model_props(model, dict(entries if metadata is None else metadata))
        path = tmp_path / name
        onnx.save(model, path)
        return path

    return write
