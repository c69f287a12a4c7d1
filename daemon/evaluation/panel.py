"""The picture of an evaluation: one row of images for each case, one column for each method."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from quietscope.daemon.evaluation.case import Case

__all__ = ["Panel"]

_SIDE = 192
_TITLE = 48
_LETTERS = 30
"""What a line above an image holds."""

_GAP = 4
_MOST = 24


class Panel:
    """Collects cut-outs and writes ``panel.png``.

    Every cut-out of a row has the same place and the same grey levels for black and white, both from the reference.

    Parameters
    ----------
    path
        File to write.

    Notes
    -----
    It shows 192×192 pixels where the reference varies most, and no more than the first 24 cases.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, list[tuple[str, NDArray[np.uint8]]]] = {}
        self._views: dict[str, tuple[tuple[slice, slice], float, float]] = {}

    def add(self, case: Case, title: str, image: NDArray[Any]) -> None:
        """Add the first denoised frame of a case; the case's own images come before the first."""
        if case.name not in self._rows:
            if len(self._rows) == _MOST:
                return
            guide = case.frames[0] if case.references is None else case.references[0]
            low, high = (float(v) for v in np.percentile(guide, (1, 99.8)))
            self._views[case.name] = (_busiest(guide), low, high)
            self._rows[case.name] = []
            self._cut(case, "noisy", case.frames[0])
            if case.references is not None:
                self._cut(case, "reference", case.references[0])
        if title != "noisy":
            self._cut(case, title, image)

    def _cut(self, case: Case, title: str, image: NDArray[Any]) -> None:
        window, low, high = self._views[case.name]
        share = (image[window].astype(np.float32) - low) / max(high - low, 1e-6)
        self._rows[case.name].append((title, (255 * np.clip(share, 0, 1)).astype(np.uint8)))

    def write(self) -> None:
        """Draw everything there is and write it."""
        if not self._rows:
            return
        columns = max(len(row) for row in self._rows.values())
        width, height = _SIDE + _GAP, _SIDE + _TITLE + _GAP
        panel = Image.new("L", (columns * width - _GAP, len(self._rows) * height - _GAP), 255)
        draw = ImageDraw.Draw(panel)
        font = ImageFont.load_default(size=12)
        for r, (name, row) in enumerate(self._rows.items()):
            draw.text((2, r * height + 1), name, fill=0, font=font)
            for c, (title, image) in enumerate(row):
                lines = "\n".join(textwrap.wrap(title, _LETTERS)[:2])
                draw.text((c * width + 2, r * height + 16), lines, fill=0, font=font, spacing=2)
                panel.paste(Image.fromarray(image), (c * width, r * height + _TITLE))
        panel.save(self._path)


def _busiest(image: NDArray[Any]) -> tuple[slice, slice]:
    """Window in which an image varies most."""
    starts = [range(0, max(side - _SIDE, 0) + 1, _SIDE // 4) for side in image.shape]
    windows = [
        (slice(top, top + _SIDE), slice(left, left + _SIDE)) for top in starts[0] for left in starts[1]
    ]
    return max(windows, key=lambda window: float(np.std(image[window], dtype=np.float64)))
