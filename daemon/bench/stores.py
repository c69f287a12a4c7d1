"""Writing planes: ours beside the bare libraries, with the same levels, codec, chunks and durability."""

import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.adapters.frame import FrameKey, Series
from quietscope.adapters.ome_zarr import StoreWriter
from quietscope.adapters.ome_zarr.arrays import create_array, store_context
from quietscope.adapters.ome_zarr.layout import level_sizes
from quietscope.adapters.ome_zarr.pyramid import pyramid
from quietscope.config.system import StoreSettings
from quietscope.daemon.bench.timing import Timing, in_turn

__all__ = ["BARE", "store_writes"]

BARE = "tensorstore, the same levels"
"""What ours is measured against."""


def store_writes(
    side: int, folder: Path | None, *, sync: bool, rounds: int, longest_s: float
) -> dict[str, Timing]:
    """Write planes of square uint16 frames, every writer in turn, every plane in a place of its own.

    Parameters
    ----------
    side
        Side of the frame, pixels.
    folder
        Where to write; none takes the system's place for temporary files.
    sync
        Whether a plane counts as written only when the disk has it.
    rounds, longest_s
        See `in_turn`.

    Returns
    -------
    dict
        Writer → timing of one plane. ``quietscope`` makes the pyramid and writes it; bare tensorstore is given the
        finished levels, or writes the finest one alone. zarr-python never syncs, and is left out where the others do.
    """
    frame = np.random.default_rng(0).poisson(200, (side, side)).astype(np.uint16)
    settings = StoreSettings(sync=sync)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".quietscope-bench-") as place:
        root = Path(place)
        series = Series(height=side, width=side, dtype="uint16", channels=("0",), source="bench")
        ours, planes = StoreWriter(root / "ours", series, settings), count()
        contenders: dict[str, Callable[[], object]] = {
            "quietscope": lambda: ours.write("raw", FrameKey(next(planes)), frame),
            BARE: _bare(root / "levels", frame, len(level_sizes(side, side)), settings, rounds),
            "tensorstore, one level": _bare(root / "one", frame, 1, settings, rounds),
        }
        if not sync:
            contenders["zarr-python, one level"] = _zarr(root / "zarr", frame, settings, rounds)
        return in_turn(contenders, rounds=rounds, longest_s=longest_s)


def _bare(
    root: Path, frame: NDArray[Any], levels: int, settings: StoreSettings, rounds: int
) -> Callable[[], object]:
    finished = list(pyramid(frame, levels))
    context = store_context(sync=settings.sync)
    arrays = [
        create_array(root / str(level), (rounds + 1, 1, 1, *plane.shape), "uint16", settings, context)
        for level, plane in enumerate(finished)
    ]
    planes = count()

    def write() -> None:
        t = next(planes)
        pending = [array[t, 0, 0].write(plane) for array, plane in zip(arrays, finished, strict=True)]
        for future in pending:
            future.result()

    return write


def _zarr(path: Path, frame: NDArray[Any], settings: StoreSettings, rounds: int) -> Callable[[], object]:
    import zarr
    from zarr.codecs import BloscCodec, BloscShuffle

    side = frame.shape[0]
    chunk = min(settings.chunk, side)
    array = zarr.create_array(
        store=path,
        shape=(rounds + 1, side, side),
        dtype="uint16",
        chunks=(1, chunk, chunk),
        shards=(1, side, side) if side > chunk and side % chunk == 0 else None,
        compressors=BloscCodec(cname="zstd", clevel=1, shuffle=BloscShuffle.bitshuffle),
    )
    planes = count()
    return lambda: array.set_basic_selection(next(planes), frame)
