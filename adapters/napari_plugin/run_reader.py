"""Opens the folder of a run in napari: raw, denoised and whatever else is stored, one layer for each channel."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quietscope.adapters.napari_plugin.appearance import DOUBTS, colormap, limits
from quietscope.adapters.ome_zarr.layout import image_path, positions_in

__all__ = ["get_reader"]

LayerData = tuple[Any, dict[str, Any], str]


def get_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """Give napari the reader if `path` is the folder of a run, else None.

    Parameters
    ----------
    path
        What was dropped or opened; of a list only one folder is taken.
    """
    run = _folder(path)
    return read_run if run is not None and (image_path(run) / "zarr.json").is_file() else None


def read_run(path: str | Sequence[str]) -> list[LayerData]:
    """Layers of a run folder, read from disk only when they are looked at.

    Parameters
    ----------
    path
        The run folder.

    Returns
    -------
    list
        (data, keyword arguments, ``"image"``) for each channel of each image. The data have the axes t, y, x, or
        t, z, y, x where there is more than one plane; frames that were never denoised are black.
    """
    run = _folder(path)
    assert run is not None
    return [layer for position in positions_in(run) for layer in _image(image_path(run, position), position)]


def _folder(path: str | Sequence[str]) -> Path | None:
    paths = [path] if isinstance(path, str) else list(path)
    return Path(paths[0]) if len(paths) == 1 else None


def _image(image: Path, position: int) -> Iterator[LayerData]:
    # Frames without a model have nothing but raw pixels: then raw is what there is to see.
    denoised = any((image / "denoised" / "0" / "c").glob("*/*/*/0/0"))
    for folder in sorted(image.iterdir(), key=_order):
        metadata = _metadata(folder)
        if metadata is None or (folder.name == "denoised" and not denoised):
            continue
        main = folder.name == ("denoised" if denoised else "raw")
        for layer in _channels(folder, metadata, position):
            layer[1]["visible"] = main and position == 0
            yield layer


def _order(folder: Path) -> int:
    """Later layers lie on top."""
    names = ["raw", "denoised"]
    return names.index(folder.name) if folder.name in names else len(names)


def _metadata(folder: Path) -> dict[str, Any] | None:
    """OME metadata of an image, or None if the folder holds none."""
    try:
        content = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
        ome: dict[str, Any] = content["attributes"]["ome"]
    except (OSError, ValueError, KeyError):
        return None
    return ome if ome.get("multiscales") else None


def _channels(folder: Path, ome: dict[str, Any], position: int) -> Iterator[LayerData]:
    multiscale = ome["multiscales"][0]
    levels = [_planes(folder / dataset["path"]) for dataset in multiscale["datasets"]]
    flat = levels[0].shape[2] == 1
    axes = [axis for axis in multiscale["axes"] if axis["name"] != "c" and not (flat and axis["name"] == "z")]
    scale = multiscale["datasets"][0]["coordinateTransformations"][0]["scale"]
    step = dict(zip((axis["name"] for axis in multiscale["axes"]), scale, strict=True))
    for index, channel in enumerate(ome["omero"]["channels"][: levels[0].shape[1]]):
        data = [level[:, index, 0] if flat else level[:, index] for level in levels]
        where = f", position {position + 1}" if position else ""
        attributes = {
            "name": f"{folder.name}: {channel['label']}{where}",
            "scale": [step[axis["name"]] for axis in axes],
            "units": [axis.get("unit", "pixel") for axis in axes],
            "axis_labels": [axis["name"] for axis in axes],
            "multiscale": len(data) > 1,
            "metadata": {"quietscope": {"folder": str(folder), "channel": index}},
            **_look(folder, index, channel),
        }
        yield data if len(data) > 1 else data[0], attributes, "image"


def _look(folder: Path, index: int, channel: dict[str, Any]) -> dict[str, Any]:
    if folder.name not in {"raw", "denoised"}:
        return {"colormap": dict(DOUBTS), "blending": "additive", "contrast_limits": [0, 255]}
    window = channel["window"]["start"], channel["window"]["end"]
    if folder.name == "denoised":
        # The stored window fits raw frames, whose noise makes it wider than denoised ones need.
        coarsest = max(folder.glob("[0-9]*"), key=lambda level: int(level.name))
        plane = next((coarsest / "c").glob(f"*/{index}/*/0/0"), None)
        if plane is not None:
            t, z = int(plane.parts[-5]), int(plane.parts[-3])
            window = limits(np.asarray(_planes(coarsest)[t, index, z]))
    return {"colormap": colormap(channel["color"]), "blending": "additive", "contrast_limits": list(window)}


def _planes(array: Path) -> Any:
    """An array as dask sees it, one plane at a time."""
    import dask.array
    import zarr

    opened: Any = zarr.open_array(array, mode="r")
    if array.parent.name == "trust":
        opened = _Judged(array, opened)
    chunks = (1, 1, 1, *opened.shape[-2:])
    return dask.array.from_array(opened, chunks=chunks, name=False)  # type: ignore[no-untyped-call] # dask's own


class _Judged:
    """Trust maps, in which a frame that was never judged has no doubts instead of nothing but doubts."""

    def __init__(self, folder: Path, maps: Any) -> None:
        self._folder = folder
        self._maps = maps
        self.shape, self.dtype, self.ndim = maps.shape, maps.dtype, maps.ndim

    def __getitem__(self, index: tuple[slice | int, ...]) -> Any:
        maps = self._maps[index]
        # dask asks for one plane at a time.
        t, c, z = (axis.start or 0 if isinstance(axis, slice) else axis for axis in index[:3])
        judged = (self._folder / "c" / f"{t}/{c}/{z}/0/0").is_file()
        return maps if judged else np.full_like(maps, 255)
