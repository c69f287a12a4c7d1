"""Writes an NDTiff data set as another program does: a script of its own, for tests that follow what it writes.

``python ndtiff_writer.py KIND FOLDER JSON`` with KIND ``ndstorage`` (the real Python writer) or ``java``
(Micro-Manager's way: index and stacks filled with zeros beforehand, each entry written after its image).
"""

import json
import struct
import sys
import time
from pathlib import Path

import numpy as np

SIZE = 48
INDEX_BYTES = 26_214_400
STACK_BYTES = 1 << 22


def pixels(number, dtype="uint16", size=SIZE):
    """Pixels of image `number`, unlike those of any other."""
    top = 250 if dtype == "uint8" else 5000
    return np.random.default_rng(number).integers(1, top, (size, size)).astype(dtype)


def images(count, channels=1, first=0):
    """Axes of each image in the order in which it is taken."""
    names = ["DAPI", "FITC"][:channels]
    for number in range(first, first + count):
        t, c = divmod(number, channels)
        yield number, {"time": t, **({"channel": names[c]} if channels > 1 else {})}


def metadata(axes):
    """What Micro-Manager says of an image."""
    return {
        "Axes": axes,
        "Exposure": 12.5,
        "PixelSize_um": 0.25,
        "Camera": "Camera-1",
        "ElapsedTime-ms": 10.0 * axes.get("time", 0),
        "TimeReceivedByCore": f"2026-11-20 19:21:{axes.get('time', 0) % 60:02d}.009309",
    }


class JavaWriter:
    """NDTiffStorage's behaviour, as measured: the image in one go, then its index entry."""

    def __init__(self, folder, *, per_stack=10**9, name="cell", summary=None, big_index=True):
        self.folder, self.name, self.per_stack = Path(folder), name, per_stack
        self.folder.mkdir(parents=True, exist_ok=True)
        self.summary = json.dumps(summary or {"PixelSize_um": 0.25}).encode()
        self.index = (self.folder / "NDTiff.index").open("wb", buffering=0)
        self.index.truncate(INDEX_BYTES if big_index else 65536)
        self.count, self.stack = 0, None

    def _begin_stack(self):
        if self.stack is not None:
            self._end_stack()
        number = self.count // self.per_stack
        self.file = f"{self.name}_NDTiffStack{f'_{number}' if number else ''}.tif"
        self.stack = (self.folder / self.file).open("wb", buffering=0)
        self.stack.truncate(STACK_BYTES)
        self.at = 28 + len(self.summary) + len(self.summary) % 2
        head = struct.pack("<2sHIIIIII", b"II", 42, self.at, 483729, 3, 3, 2355492, len(self.summary))
        self.stack.write(head + self.summary)

    def _end_stack(self):
        self.stack.seek(self.link)
        self.stack.write(bytes(4))
        self.stack.truncate(self.at)
        self.stack.close()

    def image(self, axes, image, said, *, kind=None, between=lambda: None, listed=True):
        """Write one image; `between` is called when half of its pixels are there."""
        if self.count % self.per_stack == 0:
            self._begin_stack()
        text = json.dumps(said).encode()
        height, width = image.shape[:2]
        start = self.at + 2 + 13 * 12 + 4 + 16
        place = start + image.nbytes
        tags = [
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 1, 8 * image.itemsize),
            (259, 3, 1, 1),
            (262, 3, 1, 1),
            (273, 4, 1, start),
            (277, 3, 1, 1),
            (278, 3, 1, height),
            (279, 4, 1, image.nbytes),
            (282, 5, 1, start - 16),
            (283, 5, 1, start - 8),
            (296, 3, 1, 3),
            (51123, 2, len(text), place),
        ]
        after = place + len(text) + (place + len(text)) % 2
        body = struct.pack("<H", 13) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        body += struct.pack("<IIIII", after, 1, 1, 1, 1) + image.tobytes() + text
        self.stack.seek(self.at)
        self.stack.write(body[: len(body) // 2])
        between()
        self.stack.write(body[len(body) // 2 :])
        self.link, self.at = self.at + 2 + 13 * 12, after
        if listed:
            key, name = json.dumps(axes).encode(), self.file.encode()
            kind = {1: 0, 2: 1}[image.itemsize] if kind is None else kind
            entry = struct.pack("<I", len(key)) + key + struct.pack("<I", len(name)) + name
            self.index.write(entry + struct.pack("<8I", start, width, height, kind, 0, place, len(text), 0))
        self.count += 1

    def finish(self):
        """Cut off what was filled with zeros."""
        if self.stack is not None:
            self._end_stack()
        self.index.truncate(self.index.tell())
        self.index.close()


def main():
    kind, folder, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    count, pause_s = options["count"], options.get("pause_s", 0.005)
    if kind == "java":
        writer = JavaWriter(folder, per_stack=options.get("per_stack", 10**9))

        def put(axes, image, said):
            writer.image(axes, image, said)
    else:
        from ndstorage import NDTiffDataset

        writer = NDTiffDataset(folder, summary_metadata={"PixelSize_um": 0.25}, writable=True, name="cell")
        writer.initialize({"PixelSize_um": 0.25})

        def put(axes, image, said):
            writer.put_image(axes, image, said)

    for number, axes in images(count, options.get("channels", 1)):
        put(axes, pixels(number, options.get("dtype", "uint16")), metadata(axes))
        time.sleep(pause_s)
    if options.get("die"):
        sys.stdout.write("written\n")
        sys.stdout.flush()
        time.sleep(60)
    writer.finish()


if __name__ == "__main__":
    main()
