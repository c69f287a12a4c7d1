"""What this machine could do at most: arithmetic and memory, each by the plainest means there are."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from quietscope.daemon.bench.timing import in_turn

__all__ = ["arithmetic", "memory_copy"]

_MATRIX = 2048
_COPY = 1 << 26


def arithmetic(*, rounds: int, longest_s: float) -> dict[str, float]:
    """Rate of a 2048² matrix product on one core, GFLOP per second of processor time.

    The fastest of all rounds: of PyTorch, and for float32 of onnxruntime as well, whose kernels fit other processors.

    Parameters
    ----------
    rounds, longest_s
        See `in_turn`.

    Returns
    -------
    dict
        ``float32``, and ``bfloat16`` where the CPU multiplies it natively.
    """
    import torch

    from quietscope.models.hardware import multiplies_bfloat16, thread_limit

    array = np.random.default_rng(0).random((_MATRIX, _MATRIX), np.float32)
    matrix = torch.from_numpy(array)
    contenders: dict[str, Callable[[], object]] = {
        "float32": lambda: matrix @ matrix,
        "onnxruntime": _product(array),
    }
    if multiplies_bfloat16(torch.device("cpu")):
        half = matrix.to(torch.bfloat16)
        contenders["bfloat16"] = lambda: half @ half
    with thread_limit(1), torch.inference_mode():
        found = in_turn(contenders, rounds=rounds, longest_s=longest_s)
    rates = {name: 2 * _MATRIX**3 / (1e6 * timing.least_cpu_ms) for name, timing in found.items()}
    other = rates.pop("onnxruntime")
    return rates | {"float32": max(rates["float32"], other)}


def _product(array: NDArray[np.float32]) -> Callable[[], object]:
    """Square of a matrix by onnxruntime, on one thread."""
    import onnxruntime
    from onnx import TensorProto, helper

    sizes = list(array.shape)
    a, b, c = (helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name in "abc")
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["c"])], "product", [a, b], [c])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    cpu = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=cpu)
    return lambda: session.run(["c"], {"a": array, "b": array})


def memory_copy(*, rounds: int) -> float:
    """Rate of copying 64 MiB, GB/s (read and written bytes counted once)."""
    source = np.ones(_COPY, np.uint8)
    target = np.empty_like(source)
    found = in_turn({"copy": lambda: np.copyto(target, source)}, rounds=rounds, longest_s=5.0)
    return _COPY / (1e6 * found["copy"].wall_ms)
