"""Before and after: pictures of one place, raw and denoised, with the same black and white."""

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from quietscope.adapters.frame import FrameKey, Pixels
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.config import StoreError
from quietscope.daemon.report.markup import Html, text
from quietscope.daemon.report.numbers import plain

__all__ = ["before_and_after"]

_WHOLE = 600
"""Longest side of a whole frame in the report, pixels. Larger frames are thinned, not averaged, which would make raw
frames look less noisy than they are."""

_DETAIL = (80, 160)
"""Height and width of the detail, pixels."""


@dataclass(frozen=True)
class _View:
    """Rows and columns of a frame that are shown, every `step`-th of them."""

    rows: slice
    columns: slice
    step: int = 1

    def of(self, pixels: Pixels) -> Pixels:
        return pixels[self.rows, self.columns][:: self.step, :: self.step]

    @property
    def width(self) -> int:
        return int(self.columns.stop - self.columns.start)


def before_and_after(
    store: StoreReader, key: FrameKey, *, denoised: bool, pixel_size_um: float | None, words: str
) -> Html:
    """Pictures of a frame: the whole of it, and its busiest detail.

    Black and white are the 0.5 and 99.9 per cent points of the denoised frame, for both.

    Parameters
    ----------
    store
        The run's store.
    key
        Which frame.
    denoised
        Whether there is a denoised frame beside the raw one.
    pixel_size_um
        Side of a pixel, micrometres, for the scale bar; None draws none.
    words
        Beginning of the caption: which frame this is.

    Raises
    ------
    quietscope.config.StoreError
        If the planes cannot be read.
    """
    planes = {"Raw": store.read("raw", key)}
    if denoised:
        planes["Denoised"] = store.read("denoised", key)
    guide = planes.get("Denoised", planes["Raw"])
    height, width = guide.shape
    finite = guide[np.isfinite(guide)]
    if not finite.size:
        msg = f"frame {key} holds no number"
        raise StoreError(msg)
    black, white = (float(v) for v in np.percentile(finite, (0.5, 99.9)))
    whole = _View(slice(0, height), slice(0, width), max(1, math.ceil(max(height, width) / _WHOLE)))
    views = [whole]
    if height > _DETAIL[0] and width > _DETAIL[1]:
        views.append(_busiest(guide))
    rows = []
    for view in views:
        frame = _outline(views[-1], height, width) if view is whole and len(views) > 1 else Html("")
        for name, pixels in planes.items():
            rows.append(_shown(name, view.of(pixels), (black, white), frame, _bar(view, pixel_size_um)))
    thinned = (
        f" The upper row shows one pixel of every {whole.step} in each direction." if whole.step > 1 else ""
    )
    scale = "" if pixel_size_um else " The pixel size is not known, so there is no scale bar."
    caption = (
        f"{words} Black is {plain(black)} grey levels and white {plain(white)}, in all of these pictures."
        f"{' Lower row: the framed part, enlarged.' if len(views) > 1 else ''}{thinned}{scale}"
    )
    kind = "pictures" if denoised else "pictures single"
    return Html(
        f'<figure class="{kind}"><div>{"".join(rows)}</div><figcaption>{text(caption)}</figcaption></figure>'
    )


def _busiest(image: Pixels) -> _View:
    """The detail whose grey levels vary most, among places half a detail apart."""
    rows, columns = _DETAIL
    best, found = -1.0, (0, 0)
    for y in range(0, image.shape[0] - rows + 1, rows // 2):
        for x in range(0, image.shape[1] - columns + 1, columns // 2):
            spread = float(np.nanstd(image[y : y + rows, x : x + columns].astype(np.float32)))
            if spread > best:
                best, found = spread, (y, x)
    return _View(slice(found[0], found[0] + rows), slice(found[1], found[1] + columns))


def _shown(name: str, pixels: Pixels, limits: tuple[float, float], frame: str, bar: str) -> str:
    height, width = pixels.shape
    return (
        f'<div class="picture"><img src="{_png(pixels, *limits)}" width="{width}" height="{height}" alt="{name}">'
        f"<em>{name}</em>{frame}{bar}</div>"
    )


def _png(pixels: Pixels, black: float, white: float) -> str:
    share = (np.nan_to_num(pixels.astype(np.float32)) - black) / max(white - black, 1e-6)
    grey: NDArray[np.uint8] = (255 * np.clip(share, 0, 1)).round().astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _outline(view: _View, height: int, width: int) -> Html:
    top, left = 100 * view.rows.start / height, 100 * view.columns.start / width
    tall, wide = 100 * _DETAIL[0] / height, 100 * _DETAIL[1] / width
    return Html(
        f'<i class="frame" style="left:{left:.2f}%;top:{top:.2f}%;width:{wide:.2f}%;height:{tall:.2f}%"></i>'
    )


def _bar(view: _View, pixel_size_um: float | None) -> Html:
    """A scale bar of a round length, about a fifth of the picture."""
    if not pixel_size_um:
        return Html("")
    field = view.width * pixel_size_um
    power = 10.0 ** math.floor(math.log10(field / 5))
    length = max(step * power for step in (1, 2, 5) if step * power <= field / 5)
    unit = f"{plain(length)} µm" if length >= 1 else f"{plain(1000 * length)} nm"
    return Html(f'<span class="bar"><i style="width:{100 * length / field:.2f}cqw"></i>{unit}</span>')
