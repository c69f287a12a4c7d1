"""OME-Zarr 0.5 metadata of an image, and writing it so that a reader never sees half of it."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quietscope.adapters.frame import Series
from quietscope.adapters.ome_zarr.layout import AXES, KINDS, level_sizes

__all__ = ["fill_names", "group_document", "root_document", "write_json"]

_COLOURS = ("00FF00", "FF00FF", "00FFFF", "FFFF00", "FF8000", "8080FF", "FF0000", "FFFFFF")

_REPLACE_ATTEMPTS = 50
_REPLACE_PAUSE_S = 0.02


def fill_names(names: Sequence[str], channels: int) -> tuple[str, ...]:
    """`names`, continued with ``Channel N`` up to `channels` names."""
    return (*names, *(f"Channel {i}" for i in range(len(names), channels)))


def group_document() -> dict[str, Any]:
    """Content of the ``zarr.json`` of a plain group."""
    return {"zarr_format": 3, "node_type": "group", "attributes": {}}


def root_document(
    series: Series,
    names: Sequence[str],
    *,
    windows: Mapping[int, tuple[float, float]],
    interval_s: float | None,
    position: int,
    complete: bool,
) -> dict[str, Any]:
    """Content of the root ``zarr.json``: one ``multiscales`` list with both images, and ``omero``.

    Both images stand in one list at the root because that both validates and opens in napari-ome-zarr; a
    bioformats2raw root, or none, fails one of the two.

    Parameters
    ----------
    series
        Frame size, dtype and pixel size.
    names
        Channel names, as many as the images have channels.
    windows
        Display range (start, end) in grey levels by channel, where known.
    interval_s
        Time between two time points, seconds, or None where unknown.
    position
        Stage position of this image.
    complete
        Whether the run is over; stored under ``attributes/quietscope``.
    """
    return {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {
            "ome": {
                "version": "0.5",
                "multiscales": [_multiscale(kind, series, interval_s) for kind in KINDS],
                "omero": {
                    "channels": [_channel(i, names, series, windows.get(i)) for i in range(len(names))],
                    "rdefs": {
                        "defaultT": 0,
                        "defaultZ": 0,
                        "model": "greyscale" if len(names) == 1 else "color",
                    },
                },
            },
            "quietscope": {"store": 1, "source": series.source, "position": position, "complete": complete},
        },
    }


def _multiscale(kind: str, series: Series, interval_s: float | None) -> dict[str, Any]:
    axes: list[dict[str, str]] = []
    for name in AXES:
        axis = {"name": name, "type": {"t": "time", "c": "channel"}.get(name, "space")}
        if name == "t" and interval_s is not None:
            axis["unit"] = "second"
        if name in {"y", "x"} and series.pixel_size_um is not None:
            axis["unit"] = "micrometer"
        axes.append(axis)
    pixel = series.pixel_size_um if series.pixel_size_um is not None else 1.0
    step = interval_s if interval_s is not None else 1.0
    datasets: list[dict[str, Any]] = []
    for level in range(len(level_sizes(series.height, series.width))):
        side = pixel * 2**level
        transformations: list[dict[str, Any]] = [{"type": "scale", "scale": [step, 1.0, 1.0, side, side]}]
        if level:
            # The centre of a 2 x 2 block lies half a fine pixel further.
            shift = pixel * (2**level - 1) / 2
            transformations.append({"type": "translation", "translation": [0.0, 0.0, 0.0, shift, shift]})
        datasets.append({"path": f"{kind}/{level}", "coordinateTransformations": transformations})
    scale: dict[str, Any] = {"name": kind, "axes": axes, "datasets": datasets}
    if len(datasets) > 1:
        scale |= {"type": "mean", "metadata": {"method": "2x2 mean"}}
    return scale


def _channel(
    index: int, names: Sequence[str], series: Series, window: tuple[float, float] | None
) -> dict[str, Any]:
    dtype = np.dtype(series.dtype)
    if dtype.kind == "f":
        low, high = window if window is not None else (0.0, 1.0)
    else:
        low, high = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    start, end = window if window is not None else (low, high)
    return {
        "label": names[index],
        "color": "FFFFFF" if len(names) == 1 else _COLOURS[index % len(_COLOURS)],
        "active": True,
        "window": {"min": low, "max": high, "start": start, "end": end},
    }


def write_json(path: Path, document: Mapping[str, Any], *, sync: bool) -> None:
    """Replace the file `path` by `document` in one step.

    Parameters
    ----------
    path
        File to write; its folder exists.
    document
        JSON-able content.
    sync
        Wait for the disk.

    Raises
    ------
    OSError
        If the disk does.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=1, allow_nan=False)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        _replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _replace(temporary: Path, path: Path) -> None:
    for attempt in range(_REPLACE_ATTEMPTS):
        try:
            temporary.replace(path)
        except PermissionError:
            # Windows refuses while a reader holds the file open.
            if attempt == _REPLACE_ATTEMPTS - 1:
                raise
            time.sleep(_REPLACE_PAUSE_S)
        else:
            return
