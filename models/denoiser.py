"""Denoising whole frames with an exported model: normalise, cut, run, invert, blend.

This is the *only* component that joins normalisation, tiles and runtime. Frames go in with the camera's dtype
and come out as float32 on the same scale of grey levels.
"""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config.errors import ModelError
from quietscope.config.science import RuntimeSettings, TilingSettings
from quietscope.models.division import Division, divide
from quietscope.models.fallback import FallbackRuntime
from quietscope.models.hot_pixels import hot_pixels_from_metadata, repair
from quietscope.models.noise import clean
from quietscope.models.normalisation import Normaliser
from quietscope.models.runtime import load_runtime
from quietscope.models.tile_scales import tile_scales
from quietscope.models.tiling import HALO, TilePlan, plan
from quietscope.models.windows import WindowPlan, cover

__all__ = ["Denoiser"]

Float32 = NDArray[np.float32]

CPU_PIXELS = 128 * 128
"""Pixels of tiles per call on a CPU: larger tiles go one by one, since together they were measured to be slower
(caches); four of 64×64 took 21 % less time than one by one with OpenVINO in bfloat16, 5 % less on onnxruntime."""

GPU_BATCH = 8
"""Tiles per call on a GPU, where single tiles leave it idle, and at most on a CPU, where each number is a shape."""

WINDOW = 1 << 20
"""Most pixels that go through the network at a time where no tiles are needed."""

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
        Provider, precision and threads.
    stage_done
        Called after each stage of a frame with its name (``normalise``, ``network``, ``assemble``), for whoever brings
        a clock; stages alternate where a frame takes several passes.

    Raises
    ------
    quietscope.config.ModelError
        If the model cannot be loaded, or does not say how to scale its input.
    """

    def __init__(
        self,
        path: Path,
        tiling: TilingSettings,
        runtime: RuntimeSettings,
        stage_done: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._tiling = tiling
        self._stage_done = stage_done
        on_cpu = runtime.model_copy(update={"provider": "cpu", "precision": "auto"})
        self._runtime = FallbackRuntime(load_runtime(path, runtime), lambda: load_runtime(path, on_cpu))
        try:
            self._normaliser = Normaliser.from_metadata(self.metadata)
            self._stride = _pixels(self.metadata, "stride", 1)
            # files of other programs and of older versions do not say how far their network looks: they are tiled
            known = "receptive_field" in self.metadata
            self._reach = _pixels(self.metadata, "receptive_field", 0) if known else None
            self._hot = hot_pixels_from_metadata(self.metadata)
            if self._hot is not None and not self._hot.any():
                self._hot = None
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error

    def _batch(self, layout: TilePlan) -> int:
        """Tiles per call; see `TilingSettings.batch`."""
        on_cpu = self.provider.split()[0] in {"cpu", "openvino"}
        fitting = max(1, CPU_PIXELS // (layout.side[0] * layout.side[1])) if on_cpu else GPU_BATCH
        return self._tiling.batch or min(fitting, GPU_BATCH)

    @property
    def provider(self) -> str:
        """What the network really runs on; see `quietscope.models.runtime.Runtime`."""
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

    def retiled(self, tiling: TilingSettings) -> "Denoiser":
        """The same model on the same device with other tiles."""
        other = copy.copy(self)
        other._tiling = tiling  # noqa: SLF001 - one of this class
        return other

    def most_pixels(self, shape: tuple[int, int]) -> int:
        """Pixels that the network computes at most for a frame of one shape (Y, X)."""
        layout = self.layout(shape)
        if self._in_one_pass and not self._normaliser.patch_wise:
            return self._windows(layout).pixels
        return layout.count * layout.side[0] * layout.side[1]

    def network_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Shape (H, W) of what goes through the network at a time, for frames of one shape (Y, X)."""
        layout = self.layout(shape)
        return self._windows(layout).side if self._in_one_pass else layout.side

    def passes(self, shape: tuple[int, int]) -> int:
        """How often that goes through the network for a frame of one shape (Y, X) on one scale."""
        layout = self.layout(shape)
        return self._windows(layout).count if self._in_one_pass else layout.count

    @property
    def _in_one_pass(self) -> bool:
        """Whether frames, or those parts that share one scale, go through the network without tiles."""
        return self._reach is not None and self._tiling.adaptive

    def warm_up(self, shape: tuple[int, int]) -> None:
        """Run the network on every shape that frames of one shape (Y, X) will bring, so that the first is not late.

        Raises
        ------
        quietscope.config.ModelError
            If the network fails.
        """
        layout = self.layout(shape)
        shapes = {(1, *self._windows(layout).side)} if self._in_one_pass else set()
        if self._normaliser.patch_wise or not self._in_one_pass:
            most = self._batch(layout)
            shapes |= {(len(numbers), *layout.side) for numbers in layout.batches(most)}
            if self._in_one_pass:  # frames differ in how many tiles have scales of their own
                shapes |= {(number, *layout.side) for number in range(1, min(most, GPU_BATCH) + 1)}
        for count, height, width in shapes:
            self._runtime.run(np.zeros((count, 1, height, width), np.float32))

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
        layout = self.layout((image.shape[0], image.shape[1]))
        padded = layout.pad(np.pad(image, HALO, mode="symmetric"))
        scales = tile_scales(self._normaliser, layout, padded, image)
        work = self._divide(layout, *scales)
        bounded = frame.dtype.kind != "f"
        total = np.zeros(layout.padded, np.float32) if work.tiles else np.empty(layout.padded, np.float32)
        self._pass(work, padded, total, scales, bounded=bounded)
        for numbers in layout.batches(self._batch(layout), work.tiles):
            tiles = np.empty((len(numbers), *layout.side), np.float32)
            layout.extract(padded, numbers, tiles)
            offset, scale = (values[list(numbers), None, None] for values in scales)
            layout.accumulate(total, numbers, self._run(tiles, offset, scale, bounded=bounded))
            self._stage_done("assemble")
        inner = slice(HALO, HALO + image.shape[0]), slice(HALO, HALO + image.shape[1])
        result = np.ascontiguousarray(total[inner])
        self._stage_done("assemble")
        return result

    def _divide(self, layout: TilePlan, offset: Float32, scale: Float32) -> Division:
        """Decide which part of a frame is denoised in one pass, and which tiles are blended."""
        if not self._in_one_pass:
            return Division(range(layout.count))
        of_series = self._normaliser.shared(offset, scale)
        return divide(layout, self._windows(layout), of_series | (not self._normaliser.patch_wise))

    def _windows(self, layout: TilePlan) -> WindowPlan:
        assert self._reach is not None
        return cover(layout.padded, reach=self._reach, stride=self._stride, most=WINDOW)

    def _pass(
        self,
        work: Division,
        padded: Float32,
        total: Float32,
        scales: tuple[Float32, Float32],
        *,
        bounded: bool,
    ) -> None:
        """Denoise what shares one scale, window by window, into `total`."""
        offset, scale = (values[work.any_shared] for values in scales)
        for place, part, inner in work.parts:
            window = padded[place][None].copy()
            result = self._run(window, offset, scale, bounded=bounded)[0][inner]
            total[part] = result if work.share is None else result * work.share[part]
            self._stage_done("assemble")

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
        self._stage_done("normalise")
        result = self._runtime.run(tiles[:, None])[:, 0]
        self._stage_done("network")
        result *= scale
        result += offset
        return result


def _pixels(metadata: Mapping[str, str], key: str, least: int) -> int:
    text = metadata.get(key, "")
    if not text.isdecimal() or int(text) < least:
        raise ModelError(
            f"model metadata: {key} is {text!r}, not a whole number ≥ {least}; export the model again"
        )
    return int(text)
