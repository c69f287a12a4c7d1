"""Fixtures that every test may use."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from quietscope.models.normalisation import Normaliser, Rule, StreamScale

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real images, or skip: a user's machine has none of them."""
    folder = Path(os.environ.get("QUIETSCOPE_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"real images not found at {folder} (set QUIETSCOPE_DATA to their folder)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests measure out of the user's cache, and no model on a shelf; child processes inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUIETSCOPE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("QUIETSCOPE_SHELF", "off")
        yield


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread or a child process running."""
    threads = set(threading.enumerate())
    yield
    children = psutil.Process().children(recursive=True)
    _, alive = psutil.wait_procs(children, timeout=5)
    for process in alive:
        process.kill()
    left = [t for t in threading.enumerate() if t not in threads and not t.daemon]
    for thread in left:
        thread.join(timeout=5)
    left = [t for t in left if t.is_alive()]
    assert not alive, f"child processes left behind: {alive}"
    assert not left, f"threads left behind: {left}"


@pytest.fixture(scope="session")
def write_filter_model() -> Callable[..., None]:
    """Writes an ONNX file that filters its input with a fixed kernel: a denoiser whose answer is known."""

    def write(
        path: Path,
        kernel: np.ndarray | None = None,
        *,
        rule: Rule = "stream",
        stream: StreamScale = StreamScale(100.0, 50.0, 4.0),  # noqa: B008 - frozen
        stride: int = 8,
        receptive_field: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
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
        if receptive_field is not None:
            entries["receptive_field"] = str(receptive_field)
        helper.set_model_props(model, dict(entries if metadata is None else metadata))
        onnx.save(model, path)

    return write
