"""Running an exported network: one protocol, whatever runs it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.config.science import RuntimeSettings
from quietscope.models.model_file import ModelFile
from quietscope.models.onnx_runtime import OnnxRuntime, onnx_providers
from quietscope.models.openvino_runtime import OpenVinoRuntime, openvino_precisions

__all__ = ["Runtime", "candidates", "load_runtime"]

Float32 = NDArray[np.float32]


class Runtime(Protocol):
    """A network that is ready to run."""

    @property
    def provider(self) -> str:
        """What the network really runs on.

        onnxruntime: ``tensorrt``, ``cuda``, ``directml``, ``coreml`` or ``cpu``; else ``openvino float32`` or
        ``openvino bfloat16``.
        """

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the trainer wrote into the model file."""

    @property
    def model_id(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the model file."""

    def run(self, batch: Float32) -> Float32:
        """Apply the network to normalised tiles (N, 1, H, W); same shape back, in a fresh array."""


def candidates(settings: RuntimeSettings) -> list[RuntimeSettings]:
    """Every way to run a network that these settings allow and this machine seems to have.

    Parameters
    ----------
    settings
        Provider, precision and threads.

    Returns
    -------
    list of RuntimeSettings
        Each names one provider and one precision; onnxruntime's come first, best first. Where a provider is named, only
        it. ``auto`` never tries TensorRT and CoreML, which compile for every new shape.
    """
    pairs = [(name, "float32") for name in onnx_providers()] if settings.provider == "auto" else []
    if settings.provider in {"auto", "openvino"}:
        found = openvino_precisions()
        pairs += [("openvino", name) for name in found if settings.precision in {"auto", name}]
    if settings.precision == "bfloat16":
        pairs = [pair for pair in pairs if pair[1] == "bfloat16"] or pairs
    if not pairs:
        return [settings]
    return [
        settings.model_copy(update={"provider": name, "precision": precision}) for name, precision in pairs
    ]


def load_runtime(path: Path, settings: RuntimeSettings) -> Runtime:
    """Load an ONNX file for the provider that the settings ask for.

    Parameters
    ----------
    path
        ONNX file with one float32 input and one output (N, 1, H, W), all weights inside.
    settings
        Provider, precision and CPU threads. ``auto`` tries CUDA, then DirectML, then the CPU with onnxruntime; which of
        them and OpenVINO is fastest takes a measurement, and is the daemon's to find out (see `candidates`). OpenVINO's
        ``auto`` precision is bfloat16 where the CPU multiplies it natively.

    Returns
    -------
    Runtime

    Raises
    ------
    quietscope.config.ModelError
        If the file is missing, too large, no ONNX model of this form or has its weights elsewhere, or if a
        provider asked for by name is not really used.
    """
    file = ModelFile.read(path)
    if settings.provider == "openvino":
        return OpenVinoRuntime(file, settings.precision, settings.threads)
    wanted = onnx_providers() if settings.provider == "auto" else [settings.provider]
    for name in wanted[:-1]:
        try:
            return OnnxRuntime(file, name, settings.threads)
        except ModelError:
            continue
    return OnnxRuntime(file, wanted[-1], settings.threads)
