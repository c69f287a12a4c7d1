"""Running an exported network with onnxruntime: the *only* component that understands it.

onnxruntime lists providers it was compiled with, whether or not the machine has the hardware, and falls back
to the CPU with no more than a line on stderr. So a provider that was asked for by name is checked after
loading, and `OnnxRuntime.provider` says what is really used.
"""

import contextlib
import ctypes
import io
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.config.faultpoints import reach
from quietscope.config.machine import usable_cpus
from quietscope.models.model_file import ModelFile
from quietscope.models.network_errors import changed_shape, failed_batch, not_loaded, wrong_form

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["OnnxRuntime", "nvidia_device_present", "onnx_providers"]

Float32 = NDArray[np.float32]

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


class OnnxRuntime:
    """An onnxruntime session.

    Parameters
    ----------
    file
        Model with one float32 input and one output (N, 1, H, W).
    provider
        ``tensorrt``, ``cuda``, ``directml``, ``coreml`` or ``cpu``.
    threads
        CPU threads; 0 means all.

    Raises
    ------
    quietscope.config.ModelError
        If the model cannot be loaded, has another form, or the provider is not really used.
    """

    def __init__(self, file: ModelFile, provider: str, threads: int) -> None:
        session = _session(file, provider, threads)
        if session.get_providers()[0] != PROVIDERS[provider]:
            raise ModelError(
                f"runtime.provider is {provider!r}, but onnxruntime cannot use it on this machine; {MENDS[provider]}"
            )
        _check_form(file, session)
        self._session = session
        self._input = session.get_inputs()[0].name
        self._output = session.get_outputs()[0].name
        self.provider = provider
        self.model_id = file.model_id
        self.metadata: Mapping[str, str] = file.metadata

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
            raise failed_batch(self.model_id, batch.shape, self.provider, error) from error
        output: Float32 = np.asarray(result, dtype=np.float32)
        if output.shape != batch.shape:
            raise changed_shape(self.model_id, batch.shape, output.shape)
        return output


def onnx_providers() -> list[str]:
    """Providers worth trying on this machine, best first, the CPU last.

    TensorRT and CoreML compile for every new shape, so they are used on request only.
    """
    import onnxruntime

    compiled = onnxruntime.get_available_providers()
    names = ["cuda"] if PROVIDERS["cuda"] in compiled and nvidia_device_present() else []
    names += ["directml"] if PROVIDERS["directml"] in compiled else []
    return [*names, "cpu"]


def nvidia_device_present() -> bool:
    """Whether an NVIDIA driver answers and has a device; asks the driver itself, so nothing is printed."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False


def _session(file: ModelFile, name: str, threads: int) -> "onnxruntime.InferenceSession":
    """Session for one provider, or for the CPU where that one cannot be had."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # onnxruntime's own default counts the CPUs of the whole machine
    options.intra_op_num_threads = threads or usable_cpus()
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
            return onnxruntime.InferenceSession(file.content, sess_options=options, providers=chain)
    except Exception as error:  # onnxruntime raises its own classes, which share no documented base
        raise not_loaded(file.path, "onnxruntime", error, "train or export the model again") from error


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


def _check_form(file: ModelFile, session: "onnxruntime.InferenceSession") -> None:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    fits = (
        len(inputs) == 1
        and len(outputs) == 1
        and inputs[0].type == "tensor(float)"
        and len(inputs[0].shape) == 4
    )
    if not fits:
        found = ", ".join(f"{item.name}: {item.type} {item.shape}" for item in [*inputs, *outputs])
        raise wrong_form(file.path, f"inputs and outputs {found}")
