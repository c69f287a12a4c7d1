"""Reading a model file: the *only* component that decides which ONNX files are let in."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from quietscope.config.errors import ModelError

if TYPE_CHECKING:
    import onnx

__all__ = ["ModelFile"]

MAX_MODEL_BYTES = 512 * 1024 * 1024
"""A larger file is no model of ours; the published 17 M-weight U-Net takes 69 MB."""

OLDEST_OPSET = 11
"""Older models are from before 2019, and onnxruntime runs them by conversions that nobody tests."""


@dataclass(frozen=True)
class ModelFile:
    """An ONNX file that is small enough, complete in itself, and made of ONNX's own operations.

    Parameters
    ----------
    path
        Where it lies.
    content
        Its bytes.
    metadata
        What the trainer wrote into it.
    structure
        Operations and sizes of weights, hashed: the same for every training of one network, whatever its weights.
    """

    path: Path
    content: bytes
    metadata: Mapping[str, str]
    structure: str

    @property
    def model_id(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the file."""
        return hashlib.sha256(self.content).hexdigest()[:12]

    @classmethod
    def read(cls, path: Path) -> "ModelFile":
        """Read and check a file.

        Raises
        ------
        quietscope.config.ModelError
            If the file is missing, too large, no ONNX model, needs operations of others, or has its weights elsewhere.
        """
        content, model = _read(path)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        return cls(path, content, metadata, _structure(model.graph))


def _read(path: Path) -> "tuple[bytes, onnx.ModelProto]":
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
            f"{path} is no ONNX model, or a damaged one; train or export the model again, or give another file"
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
    return content, model


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


def _structure(graph: "onnx.GraphProto") -> str:
    digest = hashlib.sha256()
    for node in graph.node:
        attributes = [item.SerializeToString() for item in node.attribute if not item.HasField("t")]
        digest.update(repr((node.op_type, list(node.input), list(node.output), attributes)).encode())
    for tensor in graph.initializer:
        digest.update(repr((tensor.name, list(tensor.dims), tensor.data_type)).encode())
    return digest.hexdigest()[:12]
