"""What this machine could do at most: arithmetic, memory, disk and wire, each by the plainest means there are."""

import tempfile
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import zmq
from numpy.typing import NDArray

from quietscope.adapters.frame import FrameKey, Series
from quietscope.adapters.ome_zarr import StoreWriter
from quietscope.config.system import StoreSettings
from quietscope.daemon.bench.timing import Timing, in_turn

__all__ = ["arithmetic", "memory_copy", "store_writes", "wire"]

_MATRIX = 2048
_COPY = 1 << 26
_WAIT_MS = 10_000


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


def store_writes(side: int, folder: Path | None, *, rounds: int, longest_s: float) -> dict[str, Timing]:
    """Write planes of square uint16 frames, ours beside bare zarr-python and bare tensorstore.

    Parameters
    ----------
    side
        Side of the frame, pixels.
    folder
        Where to write; none takes the system's place for temporary files.
    rounds, longest_s
        See `in_turn`.

    Returns
    -------
    dict
        ``quietscope`` (with pyramid, synced), ``zarr`` and ``tensorstore`` (the same codec, one level; only tensorstore
        syncs) → timing of one plane.
    """
    import tensorstore
    import zarr
    from zarr.codecs import BloscCodec, BloscShuffle

    frame = np.random.default_rng(0).poisson(200, (side, side)).astype(np.uint16)
    settings = StoreSettings()
    chunk = (1, min(settings.chunk, side), min(settings.chunk, side))
    with tempfile.TemporaryDirectory(dir=folder, prefix=".quietscope-bench-") as place:
        root = Path(place)
        ours = StoreWriter(
            root / "ours",
            Series(height=side, width=side, dtype="uint16", channels=("0",), source="bench"),
            settings,
        )
        plain = zarr.create_array(
            store=root / "zarr",
            shape=(2 * rounds + 4, side, side),
            dtype="uint16",
            chunks=chunk,
            shards=(1, side, side) if side > chunk[1] and side % chunk[1] == 0 else None,
            compressors=BloscCodec(cname="zstd", clevel=1, shuffle=BloscShuffle.bitshuffle),
        )
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(root / "zarr")}}
        fast = tensorstore.open(spec).result()
        # every write has a plane of its own: nothing is written over
        planes, zarr_planes, fast_planes = count(), count(), count(rounds + 2)
        return in_turn(
            {
                "quietscope": lambda: ours.write("raw", FrameKey(next(planes)), frame),
                "zarr": lambda: plain.set_basic_selection(next(zarr_planes), frame),
                "tensorstore": lambda: fast[next(fast_planes)].write(frame).result(),
            },
            rounds=rounds,
            longest_s=longest_s,
        )


def wire(side: int, *, rounds: int) -> float:
    """Rate of bare pyzmq, PUSH to PULL over loopback without copying, GB/s of uint16 frames of this side."""
    frame = np.ones((side, side), np.uint16)
    with zmq.Context() as context, context.socket(zmq.PULL) as pull, context.socket(zmq.PUSH) as push:
        for socket in (pull, push):
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.SNDTIMEO, _WAIT_MS)
            socket.setsockopt(zmq.RCVTIMEO, _WAIT_MS)
        port = pull.bind_to_random_port("tcp://127.0.0.1")
        push.connect(f"tcp://127.0.0.1:{port}")
        burst = 8

        def send() -> None:
            for _ in range(burst):
                push.send(frame.data, copy=False)

        def exchange() -> None:
            sender = threading.Thread(target=send)
            sender.start()
            for _ in range(burst):
                pull.recv(copy=False)
            sender.join()

        found = in_turn({"wire": exchange}, rounds=rounds, longest_s=5.0)
    return burst * frame.nbytes / (1e6 * found["wire"].wall_ms)
