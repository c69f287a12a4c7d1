"""A plane is taken only when it is all there: checked at every state that real writers leave on the disk."""

import contextlib
import importlib.util
import io
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from quietscope.adapters.folder import Plane, Refusal, look_into, read_plane
from quietscope.adapters.sharing import open_shared
from quietscope.config.errors import FrameError

RNG = np.random.default_rng(7)
STACK = RNG.integers(1, 4000, (3, 2, 40, 56)).astype(np.uint16)


class WriteLog(io.BytesIO):
    """Remembers every write, so that each state of the file can be brought back."""

    def __init__(self):
        super().__init__()
        self.writes = []

    def write(self, data):
        data = bytes(data)
        self.writes.append((self.tell(), data))
        return super().write(data)


def take(path: Path, **how):
    """All planes that count as complete, with their pixels."""
    with open_shared(path) as file:
        contents = look_into(file, path.name, **how)
        planes = [p for p in (*contents.planes, *contents.beyond) if isinstance(p, Plane)]
        return contents, {p.index: read_plane(file, p) for p in planes}


def states(writes, pieces=3):
    """File contents after every write, and in the midst of long ones."""
    data = bytearray()
    for offset, chunk in writes:
        cuts = (
            sorted({len(chunk) * k // pieces for k in range(1, pieces)} | {len(chunk)})
            if len(chunk) > 64
            else [len(chunk)]
        )
        done = 0
        for cut in cuts:
            data.extend(bytes(max(0, offset + cut - len(data))))
            data[offset + done : offset + cut] = chunk[done:cut]
            done = cut
            yield bytes(data)


def write_series(log, **kwargs):
    tifffile.imwrite(log, STACK, metadata={"axes": "TCYX"}, **kwargs)


def write_pages(log, **kwargs):
    with tifffile.TiffWriter(log, **kwargs) as writer:
        for plane in STACK.reshape(6, 40, 56):
            writer.write(plane, contiguous=False)


def write_appended(log, **kwargs):
    with tifffile.TiffWriter(log, **kwargs) as writer:
        for plane in STACK.reshape(6, 40, 56):
            writer.write(plane, contiguous=True)


WRITERS = {
    "shaped": write_series,
    "imagej": lambda log: write_series(log, imagej=True),
    "imagej truncated": lambda log: tifffile.imwrite(
        log, STACK, imagej=True, metadata={"axes": "TCYX", "truncate": True}
    ),
    "imagej appended": lambda log: write_appended(log, imagej=True),
    "ome": lambda log: write_series(log, ome=True),
    "ome deflate": lambda log: write_series(log, ome=True, compression="zlib"),
    "deflate with predictor": lambda log: write_series(log, compression="zlib", predictor=True),
    "bigtiff": lambda log: write_series(log, bigtiff=True),
    "big-endian": lambda log: write_series(log, byteorder=">"),
    "tiled": lambda log: write_series(log, tile=(16, 16)),
    "strips": lambda log: write_series(log, rowsperstrip=7),
    "strips deflate": lambda log: write_series(log, rowsperstrip=7, compression="zlib"),
    "pages": write_pages,
    "pages bigtiff": lambda log: write_pages(log, bigtiff=True),
    "pages appended": write_appended,
    "ome pages": lambda log: write_pages(log, ome=True),
    "no metadata": lambda log: tifffile.imwrite(log, STACK, metadata=None),
}

OWN_AXES = {"imagej appended", "no metadata"}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_state_of_a_growing_file_gives_only_true_planes(tmp_path, writer):
    log = WriteLog()
    WRITERS[writer](log)
    path = tmp_path / "x.tif"
    expected = STACK.reshape(6, 40, 56)
    for data in states(log.writes):
        path.write_bytes(data)
        _, planes = take(path)
        for index, pixels in planes.items():
            np.testing.assert_array_equal(pixels, expected[index])
    contents, planes = take(path)
    assert sorted(planes) == list(range(6))
    assert contents.problem == ""
    assert not contents.beyond


@pytest.mark.parametrize("writer", [name for name in WRITERS if "page" not in name and name not in OWN_AXES])
def test_planes_are_offered_only_once_their_place_is_known(tmp_path, writer):
    """OME-XML comes last: in no state may a channel be mistaken for a time point."""
    log = WriteLog()
    WRITERS[writer](log)
    path = tmp_path / "x.tif"
    for data in states(log.writes):
        path.write_bytes(data)
        contents, _ = take(path)
        for plane in contents.planes:
            place = contents.info.place(plane.index)
            assert (place.get("t", 0), place.get("c", 0)) == divmod(plane.index, 2)


def test_pages_apart_from_each_other_are_not_read_as_one_run(tmp_path):
    path = tmp_path / "x.tif"
    with tifffile.TiffWriter(path) as writer:
        for number, plane in enumerate(STACK.reshape(6, 40, 56)):
            text = b"ImageJ=1.54f\nimages=6\nframes=6\n" if number == 0 else None
            writer.write(plane, contiguous=False, metadata=None, description=text)
    contents, planes = take(path)
    assert contents.problem == ""
    np.testing.assert_array_equal([planes[k] for k in range(6)], STACK.reshape(6, 40, 56))


@pytest.mark.parametrize("writer", WRITERS)
def test_truncation_at_any_offset_never_gives_a_wrong_plane(tmp_path, writer):
    log = WriteLog()
    WRITERS[writer](log)
    data = log.getvalue()
    path = tmp_path / "x.tif"
    expected = STACK.reshape(6, 40, 56)
    offsets = {
        *range(0, len(data), 613),
        *range(0, 300, 7),
        *range(len(data) - 40, len(data), 3),
        len(data) - 1,
    }
    for offset in sorted(offsets):
        path.write_bytes(data[:offset])
        contents, planes = take(path)
        assert contents.problem or len(planes) == 6 or contents.beyond, f"cut at {offset} looks whole"
        for index, pixels in planes.items():
            np.testing.assert_array_equal(pixels, expected[index])


def test_page_order_is_kept_when_a_look_goes_on_where_the_last_one_stopped(tmp_path):
    path = tmp_path / "x.tif"
    expected = STACK.reshape(6, 40, 56)
    seen, cursor = {}, None
    with path.open("wb+") as handle, tifffile.TiffWriter(handle) as writer:
        for plane in expected:
            writer.write(plane, contiguous=False)
            handle.flush()
            contents, planes = take(path, wanted=len(seen), cursor=cursor)
            cursor = contents.cursor
            assert not set(planes) & set(seen), "a plane was offered twice"
            seen |= planes
    contents, planes = take(path, wanted=len(seen), cursor=cursor)
    seen |= planes
    assert sorted(seen) == list(range(6))
    for index, pixels in seen.items():
        np.testing.assert_array_equal(pixels, expected[index])


def test_imagej_style_file_with_the_first_directory_before_the_pixels(tmp_path):
    """As ImageJ itself writes: first directory, pixels, other directories; the link is there from the start."""
    log = WriteLog()
    WRITERS["imagej"](log)
    data = log.getvalue()
    path = tmp_path / "x.tif"
    frame = 40 * 56 * 2
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        start = tif.pages[0].dataoffsets[0]
    for planes_there in range(7):
        for extra in (0, 1, frame - 1):
            path.write_bytes(data[: min(start + planes_there * frame + extra, start + 6 * frame)])
            contents, planes = take(path)
            assert len(planes) == planes_there
            assert bool(contents.problem) == (planes_there < 6)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((8, 8), np.uint32), "dtype"),
        (np.zeros((8, 8), np.float64), "dtype"),
        (np.zeros((8, 8), np.float16), "dtype"),
        (np.zeros((8, 8), np.int8), "dtype"),
        (np.zeros((8, 8), bool), "dtype"),
        (np.zeros((8, 8, 3), np.uint8), "unsupported"),
    ],
)
def test_what_cannot_be_carried_is_refused_with_the_mend(tmp_path, image, reason):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, image)
    contents, _ = take(path)
    (refusal,) = contents.planes
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason
    assert "save" in refusal.detail or "convert" in refusal.detail


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_carried_types_come_out_native_and_equal(tmp_path, dtype, byteorder, compression):
    path = tmp_path / "x.tif"
    image = (RNG.normal(0, 50, (17, 23)) + 60).astype(dtype)
    tifffile.imwrite(path, image, byteorder=byteorder, compression=compression)
    _, planes = take(path)
    np.testing.assert_array_equal(planes[0], image)
    assert planes[0].dtype == np.dtype(dtype)
    assert planes[0].dtype.isnative
    assert planes[0].flags.c_contiguous


def test_thumbnails_are_no_planes(tmp_path):
    path = tmp_path / "x.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(STACK[0, 0])
        writer.write(STACK[0, 0, ::4, ::4], subfiletype=1)
        writer.write(STACK[0, 1])
    _, planes = take(path)
    assert sorted(planes) == [0, 2]


@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_png_is_complete_only_with_its_end_and_checksums(tmp_path, mode):
    path = tmp_path / "x.png"
    image = RNG.integers(0, 255, (33, 47)).astype(np.uint8 if mode == "L" else np.uint16) * (
        1 if mode == "L" else 257
    )
    Image.fromarray(image).save(path)
    data = path.read_bytes()
    _, planes = take(path)
    np.testing.assert_array_equal(planes[0], image)
    assert planes[0].dtype == image.dtype
    for offset in [*range(0, len(data), 97), *range(12), *range(len(data) - 16, len(data))]:
        path.write_bytes(data[:offset])
        contents, planes = take(path)
        assert contents.problem
        assert not planes
        # A copy whose size was set beforehand: the rest is still zeros.
        path.write_bytes(data[:offset] + bytes(len(data) - offset))
        contents, planes = take(path)
        assert contents.problem
        assert not planes


@pytest.mark.parametrize("mode", ["RGB", "P", "LA", "1"])
def test_png_that_is_no_grey_image_is_refused(tmp_path, mode):
    path = tmp_path / "x.png"
    Image.new(mode, (9, 9)).save(path)
    (refusal,) = take(path)[0].planes
    assert refusal.reason == ("dtype" if mode == "1" else "unsupported")


def test_other_files_are_unreadable(tmp_path):
    path = tmp_path / "x.tif"
    path.write_bytes(b"GIF89a and so on")
    (refusal,) = take(path)[0].planes
    assert refusal.reason == "unreadable"


def test_a_chain_of_pages_in_a_circle_ends(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, STACK[0], metadata=None)
    with tifffile.TiffFile(path) as tif:
        first, last = tif.pages[0].offset, tif.pages[1].offset
    data = bytearray(path.read_bytes())
    entries = int.from_bytes(data[last : last + 2], "little")
    place = last + 2 + 12 * entries
    data[place : place + 4] = first.to_bytes(4, "little")
    path.write_bytes(data)
    contents, planes = take(path)
    assert sorted(planes) == [0, 1]
    assert "circle" in contents.problem


def test_random_damage_never_escapes_as_another_error(tmp_path):
    """Flipped bytes may give refusals, problems, or other pixels, but nothing that ends the watch."""
    path = tmp_path / "x.tif"
    log = WriteLog()
    WRITERS["strips deflate"](log)
    data = log.getvalue()
    for _ in range(200):
        damaged = bytearray(data)
        for place in RNG.integers(0, len(data), 6):
            damaged[place] = RNG.integers(0, 256)
        path.write_bytes(damaged)
        with open_shared(path) as file:
            contents = look_into(file, "x.tif")
            for plane in contents.planes:
                if isinstance(plane, Plane):
                    with contextlib.suppress(FrameError):
                        read_plane(file, plane)


def test_missing_codec_is_named_with_the_mend(tmp_path):
    if importlib.util.find_spec("imagecodecs"):
        pytest.skip("imagecodecs is installed here")
    path = tmp_path / "x.tif"
    # A page that says LZW; the pixels do not matter, since the codec is asked for first.
    tifffile.imwrite(path, STACK[0, 0], compression="zlib", metadata=None)
    data = bytearray(path.read_bytes())
    place = data.index((259).to_bytes(2, "little") + b"\x03\x00")
    data[place + 8 : place + 10] = (5).to_bytes(2, "little")
    path.write_bytes(data)
    with open_shared(path) as file:
        (plane,) = look_into(file, "x.tif").planes
        with pytest.raises(FrameError, match=r"quietscope\[codecs\]") as caught:
            read_plane(file, plane)
    assert caught.value.reason == "codec"


@pytest.mark.skipif(not hasattr(os, "SEEK_HOLE"), reason="this system does not tell of holes in files")
@pytest.mark.parametrize("imagej", [True, False])
def test_preallocated_places_are_no_planes_until_written(tmp_path, imagej):
    path = tmp_path / "x.tif"
    frames = RNG.integers(1, 4000, (4, 96, 128)).astype(np.uint16)
    mapped = tifffile.memmap(
        path, shape=frames.shape, dtype="uint16", imagej=imagej, photometric="minisblack"
    )
    for number, frame in enumerate(frames):
        with open_shared(path) as file:
            contents = look_into(file, path.name)
        assert len(contents.planes) == number
        assert "not written" in contents.problem
        mapped[number] = frame
        mapped.flush()
    contents, planes = take(path)
    assert contents.problem == ""
    for number, frame in enumerate(frames):
        np.testing.assert_array_equal(planes[number], frame)
