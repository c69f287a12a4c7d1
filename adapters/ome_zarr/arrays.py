"""tensorstore handles of the arrays of a store: codecs, chunks, durability, errors in words."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorstore as ts

from quietscope.adapters.ome_zarr.layout import AXES
from quietscope.config.errors import StoreError
from quietscope.config.system import StoreSettings

__all__ = ["create_array", "open_array", "store_context", "store_errors"]


def store_context(*, sync: bool) -> ts.Context:
    """Shared tensorstore resources without any cache.

    Without a cache the memory of a process does not grow with the number of planes, and a reader sees what
    another process has written since.

    Parameters
    ----------
    sync
        Wait for the disk (fsync) before a write counts as done.
    """
    return ts.Context({"cache_pool": {"total_bytes_limit": 0}, "file_io_sync": sync})


def create_array(
    path: Path,
    shape: tuple[int, int, int, int, int],
    dtype: str,
    settings: StoreSettings,
    context: ts.Context,
) -> ts.TensorStore:
    """Create an array whose shard is exactly one plane.

    Parameters
    ----------
    path
        Folder of the array; must not hold one yet.
    shape
        Lengths of t, c, z, y, x.
    dtype
        Pixel type.
    settings
        Chunk side and codec.
    context
        From `store_context`.
    """
    height, width = shape[-2:]
    chunk = (1, 1, 1, min(settings.chunk, height), min(settings.chunk, width))
    grid, codecs = chunk, _codecs(dtype, settings)
    if chunk[-2:] != (height, width):
        # One file per plane: written once, never rewritten, so a reader cannot meet a half-updated index.
        grid = (1, 1, 1, -(-height // chunk[-2]) * chunk[-2], -(-width // chunk[-1]) * chunk[-1])
        codecs = [
            {
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": list(chunk),
                    "codecs": codecs,
                    "index_codecs": [
                        {"name": "bytes", "configuration": {"endian": "little"}},
                        {"name": "crc32c"},
                    ],
                    "index_location": "end",
                },
            }
        ]
    metadata = {
        "shape": list(shape),
        "data_type": dtype,
        "fill_value": 0,
        "dimension_names": list(AXES),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(grid)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": codecs,
    }
    return ts.open(_spec(path) | {"metadata": metadata}, create=True, context=context).result()


def open_array(path: Path, context: ts.Context) -> ts.TensorStore:
    """Open an existing array as it is now; growth by others needs another call."""
    return ts.open(_spec(path), open=True, context=context).result()


def _spec(path: Path) -> dict[str, Any]:
    return {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": f"{path.absolute().as_posix()}/"},
        # An all-zero plane is a frame like any other and must be told from one that was never written.
        "store_data_equal_to_fill_value": True,
        "fill_missing_data_reads": False,
        "recheck_cached_metadata": "open",
    }


def _codecs(dtype: str, settings: StoreSettings) -> list[dict[str, Any]]:
    size = int(ts.dtype(dtype).numpy_dtype.itemsize)
    codecs: list[dict[str, Any]] = [{"name": "bytes", "configuration": {"endian": "little"}}]
    if settings.codec != "none":
        codecs.append(
            {
                "name": "blosc",
                "configuration": {
                    "cname": settings.codec.removeprefix("blosc-"),
                    "clevel": 1,
                    "shuffle": "bitshuffle",
                    "typesize": size,
                    "blocksize": 0,
                },
            }
        )
    return codecs


@contextmanager
def store_errors(what: str, folder: Path) -> Iterator[None]:
    """Turn an error of tensorstore or of the system into a `StoreError` that says how to mend it.

    Parameters
    ----------
    what
        What was being done, for the message ("write raw t3 c0 z0 p0").
    folder
        Where; its free space is told when the disk is full.
    """
    try:
        yield
    except StoreError:
        raise
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
        if not full:
            msg = f"Cannot {what} in {folder}: {error}. Check that the disk is there and the folder writable."
            raise StoreError(msg) from error
        free = shutil.disk_usage(folder if folder.exists() else folder.parent).free
        msg = (
            f"Cannot {what}: the disk of {folder} is full ({free / 1e6:.1f} MB free). "
            "Free some space, or start a run on another disk with --out."
        )
        raise StoreError(errno.ENOSPC, msg) from error
