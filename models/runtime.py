"""Running an exported network: the *only* component that understands onnxruntime.

onnxruntime lists providers it was compiled with, whether or not the machine has the hardware, and falls back
to the CPU with no more than a line on stderr. So a provider that was asked for by name is checked after
loading, and `Runtime.provider` says what is really used.
"""

import contextlib
import ctypes
import hashlib
import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.config.faultpoints import reach
from quietscope.config.science import RuntimeSettings

if TYPE_CHECKING:
    import onnx
    import onnxruntime

__all__ = ["OnnxRuntime", "Runtime", "load_runtime", "nvidia_device_present"]

Float32 = NDArray[np.float32]

MAX_MODEL_BYTES = 512 * 1024 * 1024
"""A larger file is no model of ours; the published 17 M-weight U-Net takes 69 MB."""

OLDEST_OPSET = 11
"""Older models are from before 2019, and onnxruntime runs them by conversions that nobody tests."""

PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "cpu": "CPUExecutionProvider",
}

MENDS = {
    "tensorrt": "install TensorRT and an NVIDIA driver, or set runtime.provider = 'cuda' or 'auto'",
    "cuda": "install an NVIDIA driver and 'onnxruntime-gpu[cuda,cudnn]', or set runtime.provider = 'auto'",
    "directml": "install 'onnxruntime-directml' on Windows, or set runtime.provider = 'auto' or 'cpu'",
    "coreml": "CoreML exists on macOS only: set runtime.provider = 'auto' or 'cpu'",
    "cpu": "re-install onnxruntime",
}


class Runtime(Protocol):
    """A network that is ready to run."""

    @property
    def provider(self) -> str:
        """What the network really runs on: ``tensorrt``, ``cuda``, ``directml``, ``coreml`` or ``cpu``."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the trainer wrote into the model file."""

    @property
    def model_id(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the model file."""

    def run(self, batch: Float32) -> Float32:
        """Apply the network to normalised tiles (N, 1, H, W); same shape back."""


class OnnxRuntime:
    """An onnxruntime session; see `load_runtime`.

    Parameters
    ----------
    session
        A session with one input and one output of four axes.
    provider
        Short name of the provider in use.
    model_id
        Identity of the model file.
    """

    def __init__(self, session: "onnxruntime.InferenceSession", provider: str, model_id: str) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._output = session.get_outputs()[0].name
        self.provider = provider
        self.model_id = model_id
        self.metadata: Mapping[str, str] = dict(session.get_modelmeta().custom_metadata_map)

    def run(self, batch: Float32) -> Float32:
        """Apply the network.

        Parameters
        ----------
        batch
            Normalised tiles, float32, C order, shape (N, 1, H, W), H and W multiples of the network's stride.

        Returns
        -------
        numpy.ndarray
            float32, same shape, a fresh array.

        Raises
        ------
        quietscope.config.ModelError
            If the network fails, or gives back another shape.
        """
        try:
            reach("runtime.run")
            (result,) = self._session.run([self._output], {self._input: batch})
        except Exception as error:  # onnxruntime raises its own classes, which share no documented base
            raise ModelError(
                f"model {self.model_id} failed on a batch of shape {batch.shape} ({self.provider}): "
                f"{_one_line(error)}; try a smaller tiling.tile or tiling.batch, or runtime.provider = 'cpu'"
            ) from error
        output: Float32 = np.asarray(result, dtype=np.float32)
        if output.shape != batch.shape:
            raise ModelError(
                f"model {self.model_id} turned shape {batch.shape} into {output.shape}; a denoiser keeps it: "
                "train anew"
            )
        return output


def load_runtime(path: Path, settings: RuntimeSettings) -> OnnxRuntime:
    """Load an ONNX file for the provider that the settings ask for.

    Parameters
    ----------
    path
        ONNX file with one float32 input and one output (N, 1, H, W), all weights inside.
    settings
        Provider and CPU threads. ``auto`` tries CUDA, then DirectML, then the CPU; TensorRT and CoreML
        compile for every new tile shape, so they are used on request only.

    Returns
    -------
    OnnxRuntime

    Raises
    ------
    quietscope.config.ModelError
        If the file is missing, too large, no ONNX model of this form or has its weights elsewhere, or if a
        provider asked for by name is not really used.
    """
    content = _read(path)
    model_id = hashlib.sha256(content).hexdigest()[:12]
    wanted = _candidates() if settings.provider == "auto" else [settings.provider]
    for name in wanted:
        session = _session(path, content, name, settings.threads)
        used = session.get_providers()[0]
        if used == PROVIDERS[name]:
            _check_form(path, session)
            return OnnxRuntime(session, name, model_id)
    missing = wanted[-1]
    raise ModelError(
        f"runtime.provider is {missing!r}, but onnxruntime cannot use it on this machine; {MENDS[missing]}"
    )


def nvidia_device_present() -> bool:
    """Whether an NVIDIA driver answers and has a device; asks the driver itself, so nothing is printed."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False


def _candidates() -> list[str]:
    """List the providers worth trying on this machine, best first, the CPU last."""
    import onnxruntime

    compiled = onnxruntime.get_available_providers()
    names = ["cuda"] if PROVIDERS["cuda"] in compiled and nvidia_device_present() else []
    names += ["directml"] if PROVIDERS["directml"] in compiled else []
    return [*names, "cpu"]


def _session(path: Path, content: bytes, name: str, threads: int) -> "onnxruntime.InferenceSession":
    """Session for one provider, or for the CPU where that one cannot be had."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or _cpus()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised; stderr would tell it a second time
    for pool in ("intra_op", "inter_op"):
        # spinning threads were measured to take 1.21 cores where 0.74 give the same frame rate
        options.add_session_config_entry(f"session.{pool}.allow_spinning", "0")
    usable = name == "cpu" or (
        PROVIDERS[name] in onnxruntime.get_available_providers()
        and (name not in {"cuda", "tensorrt"} or nvidia_device_present())
    )
    chain = list(dict.fromkeys([PROVIDERS[name], PROVIDERS["cpu"]])) if usable else [PROVIDERS["cpu"]]
    try:
        with _prepared(name if usable else "cpu"):
            return onnxruntime.InferenceSession(content, sess_options=options, providers=chain)
    except Exception as error:  # onnxruntime raises its own classes, which share no documented base
        raise ModelError(
            f"{path} cannot be loaded by onnxruntime: {_one_line(error)}; train or export the model again"
        ) from error


@contextlib.contextmanager
def _prepared(name: str) -> Iterator[None]:
    """Load CUDA's libraries where no torch has, and keep fall-back notices off stderr meanwhile."""
    if name not in {"cuda", "tensorrt"}:
        yield
        return
    import onnxruntime

    if "torch" not in sys.modules and hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()
    onnxruntime.set_default_logger_severity(4)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(2)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _cpus() -> int:
    """CPUs this process may use; onnxruntime's own default counts those of the whole machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read(path: Path) -> bytes:
    """Content of a model file that is small enough and complete in itself."""
    import onnx

    try:
        size = path.stat().st_size
        if size > MAX_MODEL_BYTES:
            raise ModelError(
                f"{path} has {size} bytes, more than the {MAX_MODEL_BYTES} allowed; give one of quietscope's"
            )
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error}; train a model first, or give another file"
        ) from error
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's DecodeError is not part of onnx's interface
        raise ModelError(
            f"{path} is no ONNX model: {_one_line(error)}; train or export the model again"
        ) from error
    if not model.graph.node:
        raise ModelError(f"{path} is an ONNX model without any operation; train or export the model again")
    foreign = [
        f"{item.domain or 'ai.onnx'} {item.version}"
        for item in model.opset_import
        if item.domain not in {"", "ai.onnx"}
        or not OLDEST_OPSET <= item.version <= onnx.defs.onnx_opset_version()
    ]
    if foreign or model.functions:
        raise ModelError(
            f"{path} needs {', '.join(foreign) or 'functions of its own'}; allowed are the operations of ONNX, op-sets "
            f"{OLDEST_OPSET} to {onnx.defs.onnx_opset_version()}: export the model with them"
        )
    outside = [
        tensor.name for tensor in _tensors(model.graph) if tensor.data_location == onnx.TensorProto.EXTERNAL
    ]
    if outside:
        raise ModelError(
            f"{path} keeps {len(outside)} weights (first: {outside[0]!r}) in another file; export it "
            "with all weights inside"
        )
    return content


def _tensors(graph: "onnx.GraphProto") -> "Iterable[onnx.TensorProto]":
    """All tensors of a graph, those of its sub-graphs included."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in [attribute.g, *attribute.graphs]:
                if inner.node or inner.initializer:
                    yield from _tensors(inner)


def _check_form(path: Path, session: "onnxruntime.InferenceSession") -> None:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    fits = (
        len(inputs) == 1
        and len(outputs) == 1
        and inputs[0].type == "tensor(float)"
        and len(inputs[0].shape) == 4
    )
    if not fits:
        found = ", ".join(f"{item.name}: {item.type} {item.shape}" for item in [*inputs, *outputs])
        raise ModelError(
            f"{path} has inputs and outputs {found}; give a model with one float32 input and one output, "
            "(N, 1, H, W) each"
        )
