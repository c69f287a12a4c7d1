"""NDTiff data sets that are torn, damaged or made up, and what a reader may take from them."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ndtiff_writer as writers
import numpy as np
from mutation import mutated

from quietscope.adapters.delivery import Delivery
from quietscope.adapters.ndtiff import INDEX_NAME, AxisMap, DataSets, IndexTail
from quietscope.adapters.timeline import Timeline

__all__ = ["check_ndtiff", "taken_from"]

NESTED = b"[" * 30_000
TEXTS = (
    b"",
    b"{",
    b"{}",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"a": NaN}',
    NESTED,
    b'{"a":' * 10_000,
    b'{"time": 1e999}',
    b'{"time": -1}',
    b'{"time": true}',
    b'{"time": "0"}',
    b'{"time": %d}' % 10**30,
    b'{"time": ' + b"9" * 5000 + b"}",
    b'{"channel": 4294967295}',
    b'{"channel": -7, "laser": 70000}',
    b'{"channel": "\\ud800"}',
    b'{"channel": "\\u0000"}',
    b'{"channel": "' + b"x" * 60_000 + b'"}',
    b'{"position": 4000000000, "z": 4000000000}',
    b'{"Exposure": %d, "PixelSizeUm": 1e-400}' % 10**400,
    b'{"Camera": "\\udfff", "TimeReceivedByCore": "9999-99-99 00:00:00.0", "a-CameraChannelIndex": 1e14}',
    b'{"ChNames": ["\\ud800", 7, null, {}], "IntendedDimensions": {"channel": 9999, "z": -1}}',
)
NAMES = (
    b".",
    b"..",
    b"../cell_NDTiffStack.tif",
    b"a\0b",
    b"\\\\server\\x",
    b"C:x.tif",
    b"x" * 300,
    b"\xff",
    b"",
)
NUMBERS = (0, 1, 2, 3, 6, 7, 100, 4096, 65536, 2**31 - 1, 2**31, 2**32 - 1)


class Kept:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.channels: tuple[str, ...] = ()
        self.rejected: list[tuple[str, str, str]] = []

    def start(self, series: Any) -> None:
        self.channels = series.channels

    def submit(self, frame: Any) -> bool:
        self.frames.append(frame)
        return True

    def reject(self, name: str, reason: str, detail: str) -> None:
        self.rejected.append((name, reason, detail))


def taken_from(folder: Path) -> Kept:
    """What the reader takes from a data set that nobody writes any more; two looks, then the end."""
    kept, channels, timeline = Kept(), [], Timeline()
    delivery = Delivery(kept, "fuzz", channels, timeline)
    sets = DataSets(folder, AxisMap(channels, timeline), poll_s=1.0, settle_s=0.0)
    sets.meet("")
    sets.look(delivery)
    sets.meet("")
    sets.look(delivery)
    sets.finish(delivery)
    return kept


def check_ndtiff(seed: int, folder: Path) -> str:
    """One data set; ``refused``, ``taken``, or what is wrong. Of a torn one every frame must be as it was written."""
    for old in folder.iterdir():
        old.unlink()
    rng = np.random.default_rng([seed // 20, 4])
    images = _write(folder, rng)
    rng = np.random.default_rng([seed, 5])
    way = int(rng.integers(4))
    if way == 0:
        _tear(folder, rng)
    elif way == 1:
        _damage(folder, rng)
    else:
        _make_up(folder, rng)
    kept = taken_from(folder)
    for text in [*kept.channels, *(part for one in kept.rejected for part in one)]:
        text.encode()
    if len(kept.channels) > 100:
        return f"{len(kept.channels)} channels"
    if way == 0 and (wrong := _wrong(kept, images)):
        return wrong
    return "taken" if kept.frames else "refused"


def _write(folder: Path, rng: np.random.Generator) -> dict[tuple[int, str], np.ndarray]:
    """A data set as Micro-Manager leaves it, or in mid-series; time and channel name → pixels."""
    size, count, channels = int(rng.integers(4, 40)), int(rng.integers(1, 7)), int(rng.integers(1, 3))
    dtype = str(rng.choice(["uint8", "uint16"]))
    writer = writers.JavaWriter(folder, per_stack=int(rng.integers(1, 5)), big_index=False)
    if rng.random() < 0.2:
        writer.summary = TEXTS[int(rng.integers(len(TEXTS)))]
    images = {}
    for number, axes in writers.images(count, channels):
        pixels = writers.pixels(number, dtype, size)
        writer.image(axes, pixels, writers.metadata(axes), listed=bool(rng.random() < 0.95))
        images[axes["time"], axes.get("channel", "")] = pixels
    if rng.random() < 0.7:
        writer.finish()
    else:
        writer.index.close()
        writer.stack.close()
    return images


def _files(folder: Path, rng: np.random.Generator) -> Path:
    stacks = sorted(folder.glob("*.tif"))
    return folder / INDEX_NAME if rng.random() < 0.5 else stacks[int(rng.integers(len(stacks)))]


def _tear(folder: Path, rng: np.random.Generator) -> None:
    """What a crash, a full disk or a late page leaves: files that end early, zeros, files that are not there."""
    path = _files(folder, rng)
    content = path.read_bytes()
    used = len(content.rstrip(b"\0"))
    end = int(rng.integers(used + 1))
    match int(rng.integers(4)):
        case 0:
            path.unlink()
        case 1:
            path.write_bytes(content[:end])
        case 2:
            path.write_bytes(content[:end] + bytes(len(content) - end))
        case _:
            with path.open("r+b") as file:
                file.truncate(end)
                file.truncate(len(content))


def _damage(folder: Path, rng: np.random.Generator) -> None:
    path = _files(folder, rng)
    path.write_bytes(mutated(path.read_bytes().rstrip(b"\0"), rng))


def _make_up(folder: Path, rng: np.random.Generator) -> None:
    """Entries that somebody might write who wants the reader to fall over."""
    index = folder / INDEX_NAME
    entries = IndexTail(index).poll()
    parts = []
    for entry in entries:
        axes, name = _text(entry.axes), entry.file.encode()
        numbers = [entry.offset, entry.width, entry.height, entry.pixel_type, 0]
        numbers += [entry.metadata_offset, entry.metadata_length, 0]
        match int(rng.integers(6)):
            case 0:
                axes = TEXTS[int(rng.integers(len(TEXTS)))]
            case 1:
                name = NAMES[int(rng.integers(len(NAMES)))]
            case 2:
                for _ in range(int(rng.integers(1, 4))):
                    numbers[int(rng.integers(8))] = NUMBERS[int(rng.integers(len(NUMBERS)))]
            case 3:
                with (folder / entry.file).open("ab") as stack:
                    text = TEXTS[int(rng.integers(len(TEXTS)))]
                    numbers[5:7] = [stack.tell(), len(text)]
                    stack.write(text)
        parts.append(
            struct.pack("<I", len(axes))
            + axes
            + struct.pack("<I", len(name))
            + name
            + struct.pack("<8I", *numbers)
        )
    index.write_bytes(b"".join(parts))


def _text(axes: Mapping[str, int | str]) -> bytes:
    return str(dict(axes)).replace("'", '"').encode()


def _wrong(kept: Kept, images: Mapping[tuple[int, str], np.ndarray]) -> str:
    keys = [frame.key for frame in kept.frames]
    if len(keys) != len(set(keys)):
        return "a frame twice"
    for frame in kept.frames:
        place = frame.metadata["axes"]
        image = images[place["time"], place.get("channel", "")]
        if frame.key.t != place["time"] or not np.array_equal(frame.pixels, image):
            return f"wrong frame {frame.key}"
        if (name := place.get("channel")) is not None and kept.channels[frame.key.c] != name:
            return f"wrong channel {kept.channels}"
    return ""
