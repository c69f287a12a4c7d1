"""OME-Zarr 0.5 metadata of an image."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quietscope.adapters.frame import Series
from quietscope.adapters.ome_zarr.layout import AXES, KINDS, Kind, dtype_of, level_sizes

__all__ = ["channel_colour", "fill_names", "image_documents"]

_COLOURS = ("00FF00", "FF00FF", "00FFFF", "FFFF00", "FF8000", "8080FF", "FF0000", "FFFFFF")


def channel_colour(index: int, channels: int) -> str:
    """Colour of channel `index` of `channels`, six hexadecimal digits; a single one is white."""
    return "FFFFFF" if channels == 1 else _COLOURS[index % len(_COLOURS)]


def fill_names(names: Sequence[str], channels: int) -> tuple[str, ...]:
    """`names`, continued with ``Channel N`` up to `channels` names."""
    return (*names, *(f"Channel {i}" for i in range(len(names), channels)))


def image_documents(
    series: Series,
    names: Sequence[str],
    *,
    windows: Mapping[int, tuple[float, float]],
    interval_s: float | None,
    position: int,
    complete: bool,
    kinds: Sequence[Kind] = KINDS,
) -> dict[str, dict[str, Any]]:
    """Contents of the groups' ``zarr.json`` by folder relative to the image, the root (``""``) last.

    Both images stand in one ``multiscales`` list at the root because that both validates and opens in
    napari-ome-zarr; a bioformats2raw root, or none, fails one of the two. Readers show the first of the list,
    raw; so each folder, ``raw`` and ``denoised``, is an image in its own right as well and can be opened by
    itself. ``trust``, which is no picture of the specimen, stands in its own folder only.

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
    kinds
        Images that are there.
    """
    omero = {
        "channels": [_channel(i, names, series.dtype, windows.get(i)) for i in range(len(names))],
        "rdefs": {"defaultT": 0, "defaultZ": 0, "model": "greyscale" if len(names) == 1 else "color"},
    }
    documents: dict[str, dict[str, Any]] = {
        kind: _group([_multiscale(kind, "", series, interval_s)], omero) for kind in KINDS
    }
    if "trust" in kinds:
        dtype = dtype_of("trust", series.dtype)
        doubts = omero | {"channels": [_channel(i, names, dtype, None) for i in range(len(names))]}
        documents["trust"] = _group([_multiscale("trust", "", series, interval_s)], doubts)
    documents[""] = _group([_multiscale(kind, f"{kind}/", series, interval_s) for kind in KINDS], omero)
    documents[""]["attributes"]["quietscope"] = {
        "store": 1,
        "source": series.source,
        "position": position,
        "complete": complete,
        "display_ranges": {str(channel): list(window) for channel, window in windows.items()},
    }
    return documents


def _group(multiscales: list[dict[str, Any]], omero: dict[str, Any]) -> dict[str, Any]:
    ome = {"version": "0.5", "multiscales": multiscales, "omero": omero}
    return {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}


def _multiscale(kind: str, folder: str, series: Series, interval_s: float | None) -> dict[str, Any]:
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
        datasets.append({"path": f"{folder}{level}", "coordinateTransformations": transformations})
    scale: dict[str, Any] = {"name": kind, "axes": axes, "datasets": datasets}
    if len(datasets) > 1:
        scale |= {"type": "mean", "metadata": {"method": "2x2 mean"}}
    return scale


def _channel(
    index: int, names: Sequence[str], pixel_type: str, window: tuple[float, float] | None
) -> dict[str, Any]:
    dtype = np.dtype(pixel_type)
    if dtype.kind == "f":
        low, high = window if window is not None else (0.0, 1.0)
    else:
        low, high = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    start, end = window if window is not None else (low, high)
    return {
        "label": names[index],
        "color": channel_colour(index, len(names)),
        "active": True,
        "window": {"min": low, "max": high, "start": start, "end": end},
    }
