"""What lies in a store, by looking at the files: planes that are there, and what crashes have left."""

import re
from collections.abc import Iterator
from pathlib import Path

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ome_zarr.layout import Kind, image_path, positions_in

__all__ = ["discard_levels", "litter", "plane_files"]

_PLANE = re.compile(r"(\d+)/(\d+)/(\d+)/0/0")


def plane_files(run: Path, kind: Kind, level: int = 0) -> Iterator[tuple[FrameKey, Path]]:
    """Every plane of a store that has a file, whether or not anybody knows of it.

    Parameters
    ----------
    run
        The run folder.
    kind
        ``raw`` or ``denoised``.
    level
        Pyramid level, 0 is full resolution.

    Yields
    ------
    key : FrameKey
        Place of the plane.
    path : Path
        Its shard.
    """
    for position in positions_in(run):
        chunks = image_path(run, position) / kind / str(level) / "c"
        for path in sorted(chunks.glob("*/*/*/0/0")):
            place = _PLANE.fullmatch(path.relative_to(chunks).as_posix())
            if place:
                t, c, z = map(int, place.groups())
                yield FrameKey(t, c, z, position), path


def discard_levels(run: Path, kind: Kind, key: FrameKey, *, first: int = 0) -> None:
    """Remove damaged shards of a plane: writing into a shard means reading it first, so they would stay for ever.

    Parameters
    ----------
    run
        The run folder.
    kind
        ``raw`` or ``denoised``.
    key
        The plane.
    first
        Finest level to be removed; all coarser ones are removed as well.
    """
    for array in (image_path(run, key.p) / kind).glob("[0-9]*"):
        if int(array.name) >= first:
            (array / "c" / f"{key.t}/{key.c}/{key.z}/0/0").unlink(missing_ok=True)


def litter(run: Path) -> Iterator[Path]:
    """Temporary files and half-made images that a crash left in a store; nothing in them was ever acknowledged.

    Parameters
    ----------
    run
        The run folder.

    Yields
    ------
    Path
        A file, or the folder of a half-made image.
    """
    yield from sorted(run.glob(".image*.ome.zarr.partial"))
    for position in positions_in(run):
        image = image_path(run, position)
        yield from image.glob(".trust.partial")
        yield from sorted(path for path in image.rglob("*") if _is_temporary(path))


def _is_temporary(path: Path) -> bool:
    return path.name.endswith(".__lock") or (path.name.startswith(".") and path.name.endswith(".tmp"))
