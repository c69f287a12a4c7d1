"""Tiles blended as the released Adaptive-SN2N code does: each on its own scale from 0 to 1, never taken back.

For comparisons only. An empty tile is stretched over the full range like any other, and tiles have no common scale.
The picture gets grey levels by the line that fits it best to the noisy frame, which flatters it.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.config import Settings
from quietscope.models.noise import clean
from quietscope.models.normalisation import Normaliser
from quietscope.models.quality import fit_line
from quietscope.models.runtime import load_runtime
from quietscope.models.tiling import plan

__all__ = ["UninvertedDenoiser"]

_BATCH = 8
"""Tiles per call."""


class UninvertedDenoiser:
    """A model whose tiles are blended without their scales being taken back.

    Parameters
    ----------
    path
        ONNX file with quietscope's metadata.
    settings
        Tiles and runtime.

    Raises
    ------
    quietscope.config.ModelError
        If the model cannot be loaded, or does not say how to scale its input.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self._tiling = settings.tiling
        self._runtime = load_runtime(path, settings.runtime)
        self._normaliser = Normaliser.from_metadata(self._runtime.metadata)
        self._stride = int(self._runtime.metadata["stride"])

    def denoise(self, frame: NDArray[Any]) -> NDArray[np.float32]:
        """Denoise one frame.

        Parameters
        ----------
        frame
            Shape (Y, X), real dtype, grey levels.

        Returns
        -------
        numpy.ndarray
            float32, shape (Y, X), in grey levels as far as that is possible.

        Raises
        ------
        quietscope.config.ModelError
            If the network fails.
        """
        image = clean(frame)
        layout = plan(
            (image.shape[0], image.shape[1]),
            tile=self._tiling.tile,
            overlap=self._tiling.overlap,
            stride=self._stride,
        )
        padded = layout.pad(image)
        total = np.zeros(layout.padded, np.float32)
        for numbers in layout.batches(_BATCH):
            tiles = np.empty((len(numbers), *layout.side), np.float32)
            layout.extract(padded, numbers, tiles)
            offset, scale = (values[:, None, None] for values in self._normaliser.parameters(tiles, image))
            result = self._runtime.run(((tiles - offset) / scale)[:, None])[:, 0]
            layout.accumulate(total, numbers, result)
        picture = layout.crop(total)
        slope, intercept = fit_line(picture, image)
        return (picture * np.float32(slope) + np.float32(intercept)).astype(np.float32, copy=False)
