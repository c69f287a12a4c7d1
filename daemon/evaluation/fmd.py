"""The Fluorescence Microscopy Denoising images, as far as a folder holds them.

Zhang et al., CVPR 2019, doi 10.7274/r0-ed2r-4052. ``fmd/raw`` and ``fmd/gt`` hold noisy images and references under
the same names (``Confocal_FISH_1.png``: microscope, specimen, capture); ``fmd_50captures`` one field, 50 times.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from quietscope.daemon.evaluation.case import Case
from quietscope.daemon.evaluation.item import Absent

__all__ = ["FMD"]

_KNOWN = 48


class FMD:
    """Reads the images.

    Parameters
    ----------
    data
        Folder that holds ``fmd`` and ``fmd_50captures``; none if there is no data.
    """

    def __init__(self, data: Path | None) -> None:
        self._pairs = None if data is None else data / "fmd"
        self._field = None if data is None else data / "fmd_50captures"

    def names(self, start: str = "", captures: int | None = None) -> list[str]:
        """Names of the image pairs that there are.

        Parameters
        ----------
        start
            Beginning of the names.
        captures
            At most so many of each field; none takes all.
        """
        if self._pairs is None:
            return []
        found = sorted(file.stem for file in (self._pairs / "raw").glob(f"{start}*.png"))
        there = [name for name in found if (self._pairs / "gt" / f"{name}.png").is_file()]
        counted: dict[str, int] = {}
        chosen = []
        for name in there:
            field = name.rpartition("_")[0]
            counted[field] = counted.get(field, 0) + 1
            if captures is None or counted[field] <= captures:
                chosen.append(name)
        return chosen

    def missing(self) -> Absent | None:
        """What is not there of the 48 pairs of the papers' test set."""
        count = len(self.names())
        if count == _KNOWN:
            return None
        if count == 0:
            return Absent(
                "no FMD pairs: set QUIETSCOPE_DATA or --data to the folder that holds fmd/raw and fmd/gt"
            )
        return Absent(
            f"{count} of the {_KNOWN} FMD pairs are here, so means are not those of the papers' test set"
        )

    def raw(self, name: str) -> NDArray[Any]:
        """A noisy image, uint8, shape (Y, X)."""
        assert self._pairs is not None
        return _read(self._pairs / "raw" / f"{name}.png")

    def reference(self, name: str) -> NDArray[Any]:
        """Its reference, the mean of 50 captures, uint8, shape (Y, X)."""
        assert self._pairs is not None
        return _read(self._pairs / "gt" / f"{name}.png")

    def case(self, name: str) -> Case:
        """One image, learnt from and scored."""
        raw = self.raw(name)
        groups = (name.partition("_")[0], "all")
        return Case(name, [raw], [raw], [self.reference(name)], groups=groups, zero_shot=True)

    def captures(self) -> tuple[list[NDArray[Any]], NDArray[Any]] | None:
        """The captures of one field in order, and their mean, uint8; none if they are not there."""
        if self._field is None or not (self._field / "gt_avg50.png").is_file():
            return None
        frames = [_read(file) for file in sorted((self._field / "raw").glob("*.png"))]
        return (frames, _read(self._field / "gt_avg50.png")) if frames else None

    def other_captures(self, name: str) -> list[NDArray[Any]]:
        """All captures of an image's field, this one first."""
        field = name.rpartition("_")[0]
        return [self.raw(each) for each in (name, *(n for n in self.names(f"{field}_") if n != name))]


def _read(path: Path) -> NDArray[Any]:
    return np.asarray(Image.open(path))
