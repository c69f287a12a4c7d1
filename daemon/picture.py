"""The before/after picture of a demo: raw, denoised and truth side by side, one row for each channel."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.adapters.protocols import TruthSource
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.runfolder import RunFolder

__all__ = ["write_panel"]

_TITLE = 28
_GAP = 6


def write_panel(run: RunFolder, truth: TruthSource, path: Path) -> bool:
    """Write the picture; False if no channel has a denoised frame.

    Every image of a row has the same grey levels for black and white, taken from the truth.
    """
    with LedgerReader(run.ledger) as ledger:
        series = ledger.series()
        last = {channel: keys[-1] for channel in ledger.channels() if (keys := ledger.denoised_keys(channel))}
    if series is None or not last:
        return False
    store = StoreReader(run.root)
    rows = [_row(store, truth, key, series.channels[key.c]) for key in last.values()]
    height = sum(row.height for row in rows) + _GAP * (len(rows) - 1)
    panel = Image.new("L", (rows[0].width, height), 255)
    y = 0
    for row in rows:
        panel.paste(row, (0, y))
        y += row.height + _GAP
    panel.save(path)
    return True


def _row(store: StoreReader, truth: TruthSource, key: FrameKey, name: str) -> Image.Image:
    true = truth.truth(key)
    images = [store.read("raw", key), store.read("denoised", key), true]
    black, white = (float(v) for v in np.percentile(true, (1, 99.8)))
    height, width = true.shape
    row = Image.new("L", (3 * width + 2 * _GAP, height + _TITLE), 255)
    draw = ImageDraw.Draw(row)
    font = ImageFont.load_default(size=18)
    for i, (title, image) in enumerate(zip(("raw", "denoised", "truth"), images, strict=True)):
        x = i * (width + _GAP)
        draw.text(
            (x + 4, 3), f"{name}: {title}" + (f", time point {key.t}" if i == 0 else ""), fill=0, font=font
        )
        row.paste(Image.fromarray(_grey(image, black, white)), (x, _TITLE))
    return row


def _grey(image: NDArray[np.generic], black: float, white: float) -> NDArray[np.uint8]:
    share = (image.astype(np.float32) - black) / max(white - black, 1e-6)
    grey: NDArray[np.uint8] = (255 * np.clip(share, 0, 1)).astype(np.uint8)
    return grey
