"""Reads OME-XML: which plane each page of this file is, channel names, pixel size, exposure.

Source: OME data model 2016-06 (``Pixels``, ``TiffData``, ``UUID``, ``Plane``).
"""

import hashlib
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from quietscope.adapters.folder.stack_axes import PlaneAxes, StackInfo

__all__ = ["describe_ome"]

_UM = {"µm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "Å": 1e-4}
_MS = {"s": 1e3, "ms": 1.0, "µs": 1e-3, "us": 1e-3, "min": 6e4}
_MAX_PLANES = 1_000_000


def _local(element: ET.Element) -> str:
    return element.tag.rsplit("}", 1)[-1]


def _children(element: ET.Element, name: str) -> list[ET.Element]:
    return [child for child in element if _local(child) == name]


def _measure(element: ET.Element, name: str, units: dict[str, float], unit: str) -> float | None:
    try:
        value = float(element.get(name, ""))
    except ValueError:
        return None
    scale = units.get(element.get(f"{name}Unit", unit))
    return value * scale if scale and value > 0 else None


def _planes(order: str, sizes: dict[str, int], first: dict[str, int]) -> Iterator[PlaneAxes]:
    fast_to_slow = [letter for letter in order.upper() if letter in "ZCT"]
    fast_to_slow += [letter for letter in "ZCT" if letter not in fast_to_slow]
    place = dict(first)
    while True:
        yield {letter.lower(): place[letter] for letter in "TCZ"}
        for letter in fast_to_slow:
            place[letter] += 1
            if place[letter] < sizes[letter]:
                break
            place[letter] = 0
        else:
            return


def _own_blocks(images: list[ET.Element], file_name: str) -> tuple[list[list[ET.Element]], list[str]] | None:
    """The ``TiffData`` blocks of each image that lie in this file, and all file names of the set."""
    blocks: list[list[tuple[str | None, ET.Element]]] = []
    for pixels in images:
        row: list[tuple[str | None, ET.Element]] = []
        for block in _children(pixels, "TiffData"):
            uuid = _children(block, "UUID")
            row.append((uuid[0].get("FileName") if uuid else None, block))
        blocks.append(row)
    names = sorted({name for row in blocks for name, _ in row if name is not None})
    if len(names) > 1 and file_name not in names:
        return None
    # A single foreign name is this file under a new name.
    keep = {None, file_name} if file_name in names else {None, *names}
    return [[block for name, block in row if name in keep] for row in blocks], names


def describe_ome(xml: str, file_name: str) -> StackInfo | None:
    """Read OME-XML; None if it is none or does not speak of this file's planes.

    Parameters
    ----------
    xml
        Image description of the first page.
    file_name
        Name of the file, without folders.
    """
    if "<OME" not in xml[:2000] and ":OME" not in xml[:2000]:
        return None
    try:
        # Python's expat limits entity expansion; no external entity is ever loaded.
        root = ET.fromstring(xml)  # noqa: S314
    except ET.ParseError:
        return None
    images = [p for image in root if _local(image) == "Image" for p in _children(image, "Pixels")[:1]]
    own = _own_blocks(images, file_name) if images else None
    if own is None:
        return None
    blocks, names = own
    table: dict[int, PlaneAxes] = {}
    next_ifd = 0
    for number, (pixels, row) in enumerate(zip(images, blocks, strict=True)):
        try:
            next_ifd = _fill_table(table, pixels, row, number, next_ifd)
        except ValueError:
            return None
    if not table:
        return None
    first = images[0]
    channels = tuple(c.get("Name", "") for c in _children(first, "Channel"))
    exposures = [_measure(plane, "ExposureTime", _MS, "s") for plane in _children(first, "Plane")[:1]]
    multi = len(names) > 1
    return StackInfo(
        axes="t",
        sizes=(1,),
        images=len(table),
        table=table,
        channels=channels if any(channels) else (),
        pixel_size_um=_measure(first, "PhysicalSizeX", _UM, "µm"),
        exposure_ms=exposures[0] if exposures else None,
        group=hashlib.sha256("/".join(names).encode()).hexdigest() if multi else None,
        stated=True,
        planned={a.lower(): int(first.get(f"Size{a}", 1)) for a in "CZ"},
    )


def _fill_table(
    table: dict[int, PlaneAxes], pixels: ET.Element, blocks: list[ET.Element], position: int, next_ifd: int
) -> int:
    sizes = {letter: int(pixels.get(f"Size{letter}", 1)) for letter in "ZCT"}
    order = pixels.get("DimensionOrder", "XYZCT")
    total = sizes["Z"] * sizes["C"] * sizes["T"]
    if not 0 < total <= _MAX_PLANES:
        raise ValueError("impossible number of planes")
    spans: list[tuple[int, int, dict[str, int]]] = []
    for block in blocks:
        ifd = block.get("IFD")
        count = int(block.get("PlaneCount", total if ifd is None else 1))
        start = {letter: int(block.get(f"First{letter}", 0)) for letter in "ZCT"}
        spans.append((next_ifd if ifd is None else int(ifd), min(count, total), start))
        next_ifd = max(next_ifd, spans[-1][0] + spans[-1][1])
    if not _children(pixels, "TiffData"):
        spans = [(next_ifd, total, {"Z": 0, "C": 0, "T": 0})]
        next_ifd += total
    for begin, length, origin in spans:
        places = _planes(order, sizes, origin)
        for k, place in zip(range(length), places, strict=False):
            table[begin + k] = {**place, "p": position}
    return next_ifd
