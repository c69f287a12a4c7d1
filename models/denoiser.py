"""Denoising whole frames with an exported model: normalise, cut, run, invert, blend.

This is the *only* component that joins normalisation, tiles and runtime. Frames go in with the camera's dtype
and come out as float32 on the same scale of grey levels.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.config.science import RuntimeSettings, TilingSettings
from quietscope.models.fallback import FallbackRuntime
from quietscope.models.hot_pixels import hot_pixels_from_metadata, repair
from quietscope.models.noise import clean
from quietscope.models.normalisation import Normaliser
from quietscope.models.runtime import load_runtime
from quietscope.models.tiling import TilePlan, plan

__all__ = ["Denoiser"]

Float32 = NDArray[np.float32]

CPU_BATCH = 1
"""Tiles per call on a CPU: 2 and more were measured to be slower (caches) and to take more memory."""

GPU_BATCH = 8
"""Tiles per call on a GPU, where single tiles leave it idle."""

HALO = 16
"""Pixels by which a frame is continued by reflection: at a bare edge the network lacks its context, and the error of
the outermost pixels was measured to be two to three times larger."""

LARGEST = 1e6
"""Bound of normalised values: a float pixel near the end of its range must not overflow in the network."""


class Denoiser:
    """A model that is ready to denoise frames of any size.

    Parameters
    ----------
    path
        ONNX file with quietscope's metadata (``stride`` and those of `Normaliser`).
    tiling
        Tile side, overlap and tiles per call.
    runtime
        Provider and threads.

    Raises
    ------
    quietscope.config.ModelError
        If the model cannot be loaded, or does not say how to scale its input.
    """

    def __init__(self, path: Path, tiling: TilingSettings, runtime: RuntimeSettings) -> None:
        self._tiling = tiling
        on_cpu = runtime.model_copy(update={"provider": "cpu"})
        self._runtime = FallbackRuntime(load_runtime(path, runtime), lambda: load_runtime(path, on_cpu))
        try:
            self._normaliser = Normaliser.from_metadata(self.metadata)
            self._stride = _stride(self.metadata)
            self._hot = hot_pixels_from_metadata(self.metadata)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error

    @property
    def _batch(self) -> int:
        """Tiles per call; see `TilingSettings.batch`."""
        return self._tiling.batch or (CPU_BATCH if self.provider == "cpu" else GPU_BATCH)

    @property
    def provider(self) -> str:
        """What the network really runs on: ``tensorrt``, ``cuda``, ``directml``, ``coreml`` or ``cpu``."""
        return self._runtime.provider

    @property
    def trouble(self) -> str:
        """What had to be given up because the device failed (batch size, the device itself), in words."""
        return self._runtime.trouble

    @property
    def model_id(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the model file."""
        return self._runtime.model_id

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the trainer wrote into the model file."""
        return self._runtime.metadata

    @property
    def normaliser(self) -> Normaliser:
        """The scale the model was trained on."""
        return self._normaliser

    @property
    def hot_pixels(self) -> NDArray[np.bool_] | None:
        """Pixels (Y, X) that are bridged before a frame is denoised; None if training found none."""
        return self._hot

    def layout(self, shape: tuple[int, int]) -> TilePlan:
        """Tiles of frames of one shape (Y, X), which are continued by `HALO` pixels on every side."""
        return plan(
            (shape[0] + 2 * HALO, shape[1] + 2 * HALO),
            tile=self._tiling.tile,
            overlap=self._tiling.overlap,
            stride=self._stride,
        )

    def denoise(self, frame: NDArray[Any]) -> Float32:
        """Denoise one frame.

        Parameters
        ----------
        frame
            Shape (Y, X), real dtype, grey levels; any size from 1×1. Pixels that are not finite are bridged
            from their neighbours and get a value like any other; they do not spread. So are the hot pixels that
            training found, which the network would turn into rings.

        Returns
        -------
        numpy.ndarray
            float32, shape (Y, X), grey levels, not clipped.

        Raises
        ------
        quietscope.config.ModelError
            If the frame has not two axes, or the network fails.
        """
        if frame.ndim != 2:
            raise ModelError(
                f"a frame has two axes, and this one has shape {frame.shape}; denoise plane by plane"
            )
        image = clean(frame)
        if self._hot is not None and self._hot.shape == image.shape:
            image = repair(image, self._hot)
        continued = np.pad(image, HALO, mode="symmetric")
        layout = self.layout((image.shape[0], image.shape[1]))
        padded = layout.pad(continued)
        bounded = frame.dtype.kind != "f"
        # rules that look at the whole frame are asked once, not once per batch
        whole = (
            None if self._normaliser.patch_wise else self._normaliser.parameters(image[None, :1, :1], image)
        )
        total = np.zeros(layout.padded, np.float32)
        for numbers in layout.batches(self._batch):
            tiles = np.empty((len(numbers), *layout.side), np.float32)
            layout.extract(padded, numbers, tiles)
            offset, scale = whole or self._normaliser.parameters(tiles, image)
            result = self._run(tiles, offset[:, None, None], scale[:, None, None], bounded=bounded)
            layout.accumulate(total, numbers, result)
        return np.ascontiguousarray(layout.crop(total)[HALO:-HALO, HALO:-HALO])

    @staticmethod
    def cast(image: Float32, dtype: np.dtype[Any] | type[np.generic] | str) -> NDArray[Any]:
        """Bring a denoised frame into raw's dtype: integers are rounded and clipped, float32 stays.

        Parameters
        ----------
        image
            Grey levels, float32, any shape.
        dtype
            Integer dtype or float32.

        Returns
        -------
        numpy.ndarray
            Same shape, of `dtype`.
        """
        target = np.dtype(dtype)
        if target.kind == "f":
            return image.astype(target, copy=False)
        limits = np.iinfo(target)
        rounded = np.rint(image)
        np.clip(rounded, limits.min, limits.max, out=rounded)
        return rounded.astype(target)

    def _run(self, tiles: Float32, offset: Float32, scale: Float32, *, bounded: bool) -> Float32:
        """Normalise a batch in place, run it and invert the scale."""
        tiles -= offset
        tiles /= scale
        if not bounded:
            np.clip(tiles, -LARGEST, LARGEST, out=tiles)
        result = self._runtime.run(tiles[:, None])[:, 0]
        result *= scale
        result += offset
        return result


def _stride(metadata: Mapping[str, str]) -> int:
    text = metadata.get("stride", "")
    if not text.isdecimal() or int(text) < 1:
        raise ModelError(
            f"model metadata: stride is {text!r}, not a whole number ≥ 1; export the model again"
        )
    return int(text)
