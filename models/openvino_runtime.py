"""Running an exported network with OpenVINO: the *only* component that understands it.

It is an extra (``pip install 'quietscope[openvino]'``), for CPUs. In bfloat16 it uses the units that a CPU has for that
(AMX, AVX-512 BF16). A network is compiled for each shape it meets, and only a few are kept.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.config.faultpoints import reach
from quietscope.models.model_file import ModelFile
from quietscope.models.network_errors import changed_shape, failed_batch, not_loaded, wrong_form
from quietscope.models.openvino_import import import_openvino

__all__ = ["OpenVinoRuntime", "openvino_precisions"]

Float32 = NDArray[np.float32]
Precision = Literal["auto", "float32", "bfloat16"]

_SHAPES = 10
"""Shapes that a network is kept compiled for; a series has a window, one to eight tiles, and one larger tile."""

_NAMES = {"float32": "f32", "bfloat16": "bf16"}


def openvino_precisions() -> list[str]:
    """Precisions in which OpenVINO can run a network here, the fastest last; empty where it is not installed."""
    openvino = import_openvino()
    if openvino is None:
        return []
    core = openvino.Core()
    if "CPU" not in core.available_devices:
        return []
    native = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ["float32", "bfloat16"] if native else ["float32"]


class OpenVinoRuntime:
    """A network on the CPU by OpenVINO.

    Parameters
    ----------
    file
        Model with one float32 input and one output (N, 1, H, W).
    precision
        Arithmetic inside the network; ``auto`` takes bfloat16 where the CPU multiplies it natively.
    threads
        CPU threads; 0 means all that the process may use.

    Raises
    ------
    quietscope.config.ModelError
        If OpenVINO is not installed, cannot load the model, or cannot multiply in this precision here.
    """

    def __init__(self, file: ModelFile, precision: Precision, threads: int) -> None:
        possible = openvino_precisions()
        if not possible:
            raise ModelError(
                "runtime.provider is 'openvino', which is not installed; install it with "
                "pip install 'quietscope[openvino]', or set runtime.provider = 'auto' or 'cpu'"
            )
        chosen = possible[-1] if precision == "auto" else precision
        if chosen not in possible:
            raise ModelError(
                f"runtime.precision is {precision!r}, and this CPU does not multiply it natively; set "
                "runtime.precision = 'auto' or 'float32'"
            )
        openvino = import_openvino()
        assert openvino is not None
        self._openvino = openvino
        self._core = openvino.Core()
        self._properties: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _NAMES[chosen],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            # the machine is shared with recorder and trainer: the system's scheduler knows better
            "ENABLE_CPU_PINNING": False,
        }
        if threads:
            self._properties["INFERENCE_NUM_THREADS"] = threads
        try:
            self._model = self._core.read_model(file.content)
        except Exception as error:  # OpenVINO raises RuntimeError and others without a common base
            raise not_loaded(file.path, "OpenVINO", error, "set runtime.provider = 'cpu'") from error
        _check_form(file, self._model)
        self._requests: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self.provider = f"openvino {chosen}"
        self.model_id = file.model_id
        self.metadata: Mapping[str, str] = file.metadata

    def run(self, batch: Float32) -> Float32:
        """Apply the network; a shape that is new is compiled first.

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
        output = np.empty(batch.shape, np.float32)
        try:
            reach("runtime.run")
            request = self._request(batch.shape)
            made = tuple(request.get_compiled_model().output().shape)
            if made == batch.shape:
                # both ends are bound to arrays of ours: nothing is copied
                request.set_input_tensor(
                    self._openvino.Tensor(np.ascontiguousarray(batch), shared_memory=True)
                )
                request.set_output_tensor(self._openvino.Tensor(output, shared_memory=True))
                request.infer()
        except Exception as error:  # OpenVINO raises RuntimeError and others without a common base
            raise failed_batch(self.model_id, batch.shape, self.provider, error) from error
        if made != batch.shape:
            raise changed_shape(self.model_id, batch.shape, made)
        return output

    def _request(self, shape: tuple[int, ...]) -> Any:
        if shape in self._requests:
            self._requests.move_to_end(shape)
            return self._requests[shape]
        model = self._model.clone()
        model.reshape(list(shape))
        request = self._core.compile_model(model, "CPU", self._properties).create_infer_request()
        self._requests[shape] = request
        if len(self._requests) > _SHAPES:
            self._requests.popitem(last=False)
        return request


def _check_form(file: ModelFile, model: Any) -> None:
    inputs, outputs = model.inputs, model.outputs
    fits = (
        len(inputs) == 1
        and len(outputs) == 1
        and inputs[0].element_type.get_type_name() == "f32"
        and inputs[0].partial_shape.rank == 4
    )
    if not fits:
        raise wrong_form(file.path, f"{len(inputs)} inputs and {len(outputs)} outputs")
