"""What the planes of a stack are: axes, channel names, pixel size and exposure from a TIFF's own description.

Understands ImageJ's text, tifffile's ``{"shape": …}`` and, through `ome_axes`, OME-XML. Without any of these the
pages follow one axis.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from quietscope.adapters.foreign_json import parse_json

__all__ = ["PlaneAxes", "StackInfo", "describe_imagej", "describe_shaped", "plain_stack", "with_axes"]

PlaneAxes = Mapping[str, int]
"""Place of a plane in its stack by axis, ``t``, ``c``, ``z``, ``p``; axes that a stack does not have are absent."""

_UM_PER_UNIT = {
    "µm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
}


@dataclass(frozen=True, slots=True)
class StackInfo:
    """What a file says of its own planes.

    Parameters
    ----------
    axes
        Axes of the stack, slowest first, from ``tczp``.
    sizes
        Their lengths; the slowest may grow beyond.
    images
        Number of planes the file announces, or None.
    contiguous
        The announced planes follow each other without anything between.
    table
        Place of each plane where it follows no simple order, else None.
    channels
        Channel names, as far as known.
    pixel_size_um, exposure_ms
        Pixel size (micrometres) and exposure (milliseconds), where stated.
    group
        Files of one group count their time points together; None stands for the file itself.
    provisional
        The description is still to be written, so that only the first plane has a known place.
    stated
        The axes come from the file; False where they are a guess.
    planned
        Lengths by axis that the series will have.
    lengths
        Lengths of the axes as the file gives them, where it does not name them all.
    """

    axes: str
    sizes: tuple[int, ...]
    images: int | None = None
    contiguous: bool = False
    table: Mapping[int, PlaneAxes] | None = None
    channels: tuple[str, ...] = ()
    pixel_size_um: float | None = None
    exposure_ms: float | None = None
    group: str | None = None
    provisional: bool = False
    stated: bool = False
    planned: Mapping[str, int] = field(default_factory=dict)
    lengths: tuple[int, ...] = ()

    def place(self, index: int) -> PlaneAxes:
        """Place of plane `index` by axis."""
        if self.table is not None and index in self.table:
            return self.table[index]
        place = {}
        for axis, size in zip(self.axes[:0:-1], self.sizes[:0:-1], strict=True):
            index, place[axis] = divmod(index, size)
        if self.axes:
            place[self.axes[0]] = index
        return place

    @property
    def extended(self) -> frozenset[str]:
        """Axes that the stack really runs along."""
        if self.table is not None:
            return frozenset(a for a in "tczp" if len({place.get(a, 0) for place in self.table.values()}) > 1)
        return frozenset(a for a, n in zip(self.axes, self.sizes, strict=True) if n > 1)


def plain_stack(axis: str = "t") -> StackInfo:
    """Describe pages that follow one axis, number unknown."""
    return StackInfo(axis, (1,))


def with_axes(info: StackInfo, setting: str) -> StackInfo:
    """Apply the user's ``stack_axes``, where it fits the file.

    Parameters
    ----------
    info
        What the file says.
    setting
        Axes, slowest first, each perhaps with its length: ``t``, ``tc``, ``tc2``. Lengths are needed where the file
        says only how many pages it has.
    """
    if info.table is not None:
        return info
    spec = [(axis, int(count) if count else None) for axis, count in re.findall(r"([tczp])(\d*)", setting)]
    axes = "".join(axis for axis, _ in spec)
    long = info.lengths or tuple(n for n in info.sizes if n > 1)
    info = replace(info, provisional=False)
    if not spec:
        return info
    if len(spec) == len(long):
        return replace(info, axes=axes, sizes=long, stated=True, planned=_planned(axes, long))
    if all(count for _, count in spec[1:]) and (len(spec) > 1 or not info.stated):
        sizes = tuple(count or 1 for _, count in spec)
        return replace(info, axes=axes, sizes=sizes, stated=True, planned=_planned(axes, sizes))
    return info


def _planned(axes: str, sizes: tuple[int, ...]) -> dict[str, int]:
    return {axis: size for axis, size in zip(axes, sizes, strict=True) if axis in "cz" and size > 1}


def _fill(axes: list[str], sizes: list[int], default: str) -> tuple[str, tuple[int, ...], bool]:
    """Drop axes of length 1; name the only unknown axis `default`, or flatten the stack if there are several."""
    kept = [(a, n) for a, n in zip(axes, sizes, strict=True) if n > 1]
    unknown = [a for a, _ in kept if a not in "tczp"]
    named = [a for a, _ in kept if a in "tczp"]
    free = default if default not in named else next((a for a in "tzcp" if a not in named), "")
    if len(unknown) > 1 or len(set(named)) != len(named) or (unknown and not free) or not kept:
        return default, (max(1, math.prod(sizes)),), False
    return "".join(a if a in "tczp" else free for a, _ in kept), tuple(n for _, n in kept), not unknown


def describe_shaped(text: str, page_shape: tuple[int, int], default: str) -> StackInfo | None:
    """Read tifffile's description, JSON with ``shape`` and perhaps ``axes``; None if it is none.

    Parameters
    ----------
    text
        Image description.
    page_shape
        Height and width of the first page.
    default
        Axis taken for an unnamed one.
    """
    try:
        said = parse_json(text)
        shape = [int(n) for n in said["shape"]]
    except (ValueError, KeyError, TypeError):
        return None
    letters = str(said.get("axes", "")).lower()
    if len(letters) != len(shape):
        letters = "?" * (len(shape) - 2) + "yx"
    if len(letters) != len(shape):
        return None  # fewer axes than an image has: the text is damaged
    kept = [(a, n) for a, n in zip(letters, shape, strict=True) if a not in "yxs"]
    if math.prod(shape) != math.prod(n for _, n in kept) * math.prod(page_shape):
        return None
    axes, sizes, stated = _fill([a for a, _ in kept], [n for _, n in kept], default)
    # tifffile writes the pixels of one array in one run, and its directories afterwards.
    return StackInfo(
        axes,
        sizes,
        images=math.prod(sizes),
        contiguous=True,
        stated=stated,
        planned=_planned(axes, sizes),
        lengths=tuple(n for _, n in kept if n > 1),
    )


def describe_imagej(text: str, x_resolution: float | None, default: str) -> StackInfo | None:
    """Read ImageJ's description; None if it is none.

    Source: ImageJ's ``FileInfo``/``TiffDecoder``: the planes of a stack follow each other in one run, channels
    fastest, then slices, then frames.

    Parameters
    ----------
    text
        Image description.
    x_resolution
        Pixels per unit, from the tag.
    default
        Axis taken where the description gives only a number of images.
    """
    if not text.startswith("ImageJ="):
        return None
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    try:
        images = int(said.get("images", 1))
        counts = [int(said.get(name, 1)) for name in ("frames", "slices", "channels")]
    except ValueError:
        return None
    unit = said.get("unit", "").replace("\\u00B5", "µ").strip()
    scale = _UM_PER_UNIT.get(unit)
    size_um = scale / x_resolution if scale and x_resolution else None
    if math.prod(counts) == images and images > 1:
        axes, sizes, stated = _fill(["t", "z", "c"], counts, default)
    else:
        axes, sizes, stated = default, (images,), images == 1
    return StackInfo(
        axes,
        sizes,
        images=images,
        contiguous=True,
        pixel_size_um=size_um,
        stated=stated,
        planned=_planned(axes, sizes),
    )
