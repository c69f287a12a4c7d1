"""Export of a trained model to one self-contained ONNX file, and the proof that the file computes the same.

Input ``input`` and output ``output`` are (N, 1, H, W), float32, normalised, with N, H and W free; H and W are
multiples of the stride written in the file's metadata. Everything that inference needs to know is in
`metadata_props`.
"""

import json
import logging
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from quietscope.config.errors import ModelError
from quietscope.models.hot_pixels import hot_pixels_to_metadata
from quietscope.models.receptive_field import receptive_field
from quietscope.models.training import TrainedModel

__all__ = ["FORMAT", "export_onnx", "parity_error"]

FORMAT = "1"
"""Version of the metadata; raised when a reader must tell them apart."""

_OPSET = 18


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks on its own progress away from the user's terminal."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _metadata(model: TrainedModel) -> dict[str, str]:
    try:
        own = version("quietscope")
    except PackageNotFoundError:
        own = "unknown"
    reach = receptive_field(model.network)
    return {
        "quietscope.format": FORMAT,
        "method": model.method,
        "pairs": model.pairs,
        **model.normaliser.to_metadata(),
        **hot_pixels_to_metadata(model.hot_pixels),
        "tile": str(model.tile),
        "stride": str(model.stride),
        **({} if reach is None else {"receptive_field": str(reach)}),
        "weights": str(model.weights),
        "frames_sha256": model.frames_sha256,
        "figures": json.dumps(dict(model.figures), sort_keys=True),
        "versions": json.dumps(
            {
                "quietscope": own,
                "torch": torch.__version__,
                "onnx": onnx.__version__,
                "python": platform.python_version(),
            }
        ),
    }


def export_onnx(model: TrainedModel, path: Path) -> None:
    """Write a model as ONNX.

    Parameters
    ----------
    model
        Trained model.
    path
        File to write; it appears whole or not at all, and replaces an older one.

    Raises
    ------
    ModelError
        If the graph cannot be exported or the file cannot be written.
    """
    side = model.stride * max(2, 64 // model.stride)
    example = torch.zeros((2, 1, side, side + model.stride))
    free = {0: "batch", 2: "height", 3: "width"}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with _quiet():
            program = torch.onnx.export(
                model.network,
                (example,),
                dynamo=True,
                opset_version=_OPSET,
                input_names=["input"],
                output_names=["output"],
                dynamic_shapes=(dict.fromkeys(free, torch.export.Dim.DYNAMIC),),
                external_data=False,
                verbose=False,
            )
        assert program is not None
        proto = program.model_proto
        for value in (*proto.graph.input, *proto.graph.output):
            for axis, name in free.items():
                value.type.tensor_type.shape.dim[axis].dim_param = name
        onnx.helper.set_model_props(proto, _metadata(model))
        onnx.checker.check_model(proto, full_check=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(proto.SerializeToString())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except Exception as error:
        temporary.unlink(missing_ok=True)
        msg = (
            f"the model cannot be exported to {path}: {error}; check that the folder is writable and has room"
        )
        raise ModelError(msg) from error


def parity_error(model: TrainedModel, path: Path) -> float:
    """Compare the file with the network it was exported from.

    Parameters
    ----------
    model
        Trained model.
    path
        Its ONNX file.

    Returns
    -------
    float
        Largest |ONNX - PyTorch| in normalised units (shares of the frames' scale), over several batch and
        image sizes, on examples of the frames and on noise of the signal's full height.

    Raises
    ------
    ModelError
        If the file cannot be opened or run.
    """
    rng = np.random.default_rng(0)
    stride = model.stride
    sizes = ((1, 4, 4), (2, 7, 5), (3, 16, 9))
    inputs = [rng.random((n, 1, h * stride, w * stride), dtype=np.float32) for n, h, w in sizes]
    examples = model.examples[:4]
    height, width = (side // stride * stride for side in examples.shape[1:])
    if height and width:
        inputs.append(np.ascontiguousarray(examples[:, None, :height, :width]))
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        outputs = [session.run(["output"], {"input": image})[0] for image in inputs]
    except Exception as error:
        msg = f"the exported model {path} cannot be run: {error}; train again"
        raise ModelError(msg) from error
    with torch.inference_mode():
        expected = [model.network(torch.from_numpy(image)).numpy() for image in inputs]
    return max(float(np.abs(a - b).max()) for a, b in zip(outputs, expected, strict=True))
