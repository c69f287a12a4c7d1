"""Hot pixels of a camera: single pixels that stand far above their neighbours in every frame.

Left alone, one of them sits in one twin only, dominates the squared loss, and teaches the network nothing. A
point of light is wider than a pixel (the microscope blurs it), which is how the two are told apart.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError

__all__ = ["find_hot_pixels", "hot_pixels_from_metadata", "hot_pixels_to_metadata", "repair"]

_KEY = "hot_pixels"

_NOISE_MULTIPLE = 8.0
"""Least height over the neighbours' median, in noise standard deviations of the mean of the frames."""

_NEIGHBOUR_SHARE = 0.3
"""A neighbour as high as this share of the pixel's height is what a blurred point of light would show."""


def _neighbours(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the 8 neighbours of every pixel, sorted upwards, (8, Y, X); edges are mirrored."""
    padded = np.pad(image, 1, mode="reflect")
    height, width = image.shape
    shifts = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    return np.sort(np.stack([padded[i : i + height, j : j + width] for i, j in shifts]), axis=0)


def find_hot_pixels(frames: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    """Find pixels that stand out alone in the mean of the frames.

    Parameters
    ----------
    frames
        Frames (Y, X) of one channel, real dtype, grey levels.

    Returns
    -------
    ndarray
        (Y, X), True where the pixel is hot.
    """
    mean: NDArray[np.float32] = np.zeros(frames[0].shape, dtype=np.float32)
    for frame in frames:
        mean += np.asarray(frame, dtype=np.float32) / np.float32(len(frames))
    around = _neighbours(mean)
    middle = (around[3] + around[4]) / 2
    height = mean - middle
    spread = np.float32(1.4826) * np.median(np.abs(height - np.median(height)))
    # signal-dependent noise: where the neighbours scatter more than elsewhere, more is asked of the pixel
    local = np.maximum(spread, (around[5] - around[2]) / np.float32(1.2))
    alone = around[7] - middle < _NEIGHBOUR_SHARE * height
    hot: NDArray[np.bool_] = (height > _NOISE_MULTIPLE * local) & (height > 0) & alone
    return hot


def repair(frame: NDArray[Any], hot: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Replace hot pixels by the median of their 8 neighbours.

    Parameters
    ----------
    frame
        (Y, X), real dtype, grey levels.
    hot
        (Y, X), as `find_hot_pixels` returns it.

    Returns
    -------
    ndarray
        (Y, X), float32; `frame` itself is left alone.
    """
    repaired = np.array(frame, dtype=np.float32)
    height, width = repaired.shape
    y, x = np.nonzero(hot)
    around = [
        repaired[_mirrored(y + i, height), _mirrored(x + j, width)]
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
        if (i, j) != (0, 0)
    ]
    repaired[y, x] = np.median(around, axis=0)
    return repaired


def hot_pixels_to_metadata(hot: NDArray[np.bool_]) -> dict[str, str]:
    """Metadata of a model file that say where the camera's hot pixels are.

    Parameters
    ----------
    hot
        (Y, X), as `find_hot_pixels` returns it.
    """
    content = {"shape": list(hot.shape), "index": np.flatnonzero(hot).tolist()}
    return {_KEY: json.dumps(content)}


def hot_pixels_from_metadata(metadata: Mapping[str, str]) -> NDArray[np.bool_] | None:
    """Where the camera's hot pixels are, or None if the file does not say.

    Parameters
    ----------
    metadata
        Metadata of a model file.

    Raises
    ------
    quietscope.config.ModelError
        If the entry is not what `hot_pixels_to_metadata` makes.
    """
    text = metadata.get(_KEY)
    if text is None:
        return None
    try:
        content = json.loads(text)
        height, width = (int(n) for n in content["shape"])
        index = np.asarray(content["index"], dtype=np.int64)
        hot = np.zeros(height * width, dtype=np.bool_)
        hot[index] = True
    except (ValueError, KeyError, TypeError, IndexError, MemoryError) as error:
        msg = f"model metadata: {_KEY} cannot be read ({error}); export the model again"
        raise ModelError(msg) from error
    return hot.reshape(height, width)


def _mirrored(index: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Reflect an index that is one outside, without repeating the edge."""
    reflected = np.abs(index)
    reflected = np.where(reflected >= size, 2 * (size - 1) - reflected, reflected)
    return np.clip(reflected, 0, size - 1)
