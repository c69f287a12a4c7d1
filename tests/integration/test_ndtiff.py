"""NDTiff data sets, followed while another process writes them and read when they are finished."""

import contextlib
import json
import shutil
import subprocess
import sys
import time

import ndtiff_writer as writers
import numpy as np
import pytest
from watched_folder import once, watching


@contextlib.contextmanager
def writing(kind, folder, **options):
    """Let another process write a data set; killed at the end if it still runs."""
    command = [sys.executable, writers.__file__, kind, str(folder), json.dumps(options)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def whole(sink, count, channels=1, dtype="uint16"):
    """Every image once, none twice, none wrong."""
    assert not sink.rejected
    assert len(sink.frames) == len(set(sink.keys)) == count
    for frame in sink.frames:
        number = frame.key.t * channels + frame.key.c
        np.testing.assert_array_equal(frame.pixels, writers.pixels(number, dtype))
        assert frame.pixels.dtype == dtype


@pytest.mark.parametrize("polling", [False, True], ids=["events", "polling"])
@pytest.mark.parametrize("kind", ["ndstorage", "java"])
def test_a_data_set_that_appears_and_grows_is_followed(tmp_path, kind, polling):
    with watching(tmp_path, polling=polling) as sink:
        time.sleep(0.3)
        with writing(kind, tmp_path / "run_1", count=300, channels=2, per_stack=70) as process:
            sink.wait_frames(300)
            assert process.wait(120) == 0
    whole(sink, 300, channels=2)
    assert sink.keys == [(n // 2, n % 2, 0, 0) for n in range(300)]
    assert sink.series[-1].channels == ("DAPI", "FITC")
    assert sink.series[0].pixel_size_um == 0.25
    assert len(sink.series) == 2
    frame = sink.frames[5]
    assert frame.exposure_ms == 12.5
    assert frame.metadata["camera"] == "Camera-1"
    assert frame.metadata["elapsed_ms"] == 20.0
    assert time.localtime(frame.metadata["taken_ns"] // 10**9)[:6] == (2026, 11, 20, 19, 21, 2)
    assert frame.metadata["taken_ns"] % 10**9 == 9_309_000


def test_the_python_writers_unwritten_index_does_not_delay_frames(tmp_path):
    """Its index comes in pieces of 8 KiB: twelve entries stay in memory until it finishes, or for ever if it dies."""
    with watching(tmp_path) as sink, writing("ndstorage", tmp_path / "run", count=12, die=True) as process:
        assert process.stdout.readline() == "written\n"
        sink.wait_frames(12)
        assert [path.stat().st_size for path in tmp_path.rglob("NDTiff.index")] == [0]
    whole(sink, 12)
    whole(once(tmp_path / "run"), 12)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_finished_data_sets_are_read(tmp_path, dtype):
    with writing("ndstorage", tmp_path / "run", count=30, dtype=dtype, pause_s=0) as process:
        assert process.wait(120) == 0
    for folder in (tmp_path, tmp_path / "run"):
        whole(once(folder), 30, dtype=dtype)


def test_an_image_is_taken_when_it_is_whole_and_listed(tmp_path):
    writer = writers.JavaWriter(tmp_path)
    seen = []
    with watching(tmp_path) as sink:

        def between():
            time.sleep(0.15)
            seen.append(len(sink.frames))

        for number, axes in writers.images(5):
            writer.image(axes, writers.pixels(number), writers.metadata(axes), between=between)
            sink.wait_frames(number + 1)
        writer.finish()
        time.sleep(0.3)
    assert seen == [0, 1, 2, 3, 4]
    whole(sink, 5)


def test_a_listed_image_without_pixels_is_waited_for_and_then_named(tmp_path):
    """A computer that crashed, or a share that shows the index before the stack."""
    writer = writers.JavaWriter(tmp_path)
    for number, axes in writers.images(6):
        writer.image(axes, writers.pixels(number), writers.metadata(axes))
    writer.index.close()
    writer.stack.close()
    stack = tmp_path / "cell_NDTiffStack.tif"
    data = bytearray(stack.read_bytes())
    second = data.index(writers.pixels(1).tobytes())
    whole_stack = bytes(data)
    data[second + 100 :] = bytes(len(data) - second - 100)
    stack.write_bytes(data)
    with watching(tmp_path) as sink:
        sink.wait_frames(1)
        time.sleep(0.3)
        assert len(sink.frames) == 1
        assert not sink.rejected
        with stack.open("r+b", buffering=0) as file:
            file.write(whole_stack)
        sink.wait_frames(6)
    whole(sink, 6)
    stack.write_bytes(data)
    sink = once(tmp_path)
    assert sink.keys == [(0, 0, 0, 0)]
    assert [(name, reason) for name, reason, _ in sink.rejected] == [
        (f"cell_NDTiffStack.tif (time {t})", "truncated") for t in range(1, 6)
    ]


def test_a_second_data_set_follows_in_time(tmp_path):
    with watching(tmp_path) as sink:
        for run in range(2):
            writer = writers.JavaWriter(tmp_path / f"run_{run}")
            for number, axes in writers.images(8, first=0):
                writer.image(axes, writers.pixels(100 * run + number), writers.metadata(axes))
            writer.finish()
            sink.wait_frames(8 * (run + 1))
    assert [key[0] for key in sink.keys] == list(range(16))
    assert not sink.rejected


def test_a_data_set_written_again_under_its_name_is_taken_as_new(tmp_path):
    with watching(tmp_path) as sink:
        for run in range(2):
            shutil.rmtree(tmp_path / "run", ignore_errors=True)
            writer = writers.JavaWriter(tmp_path / "run")
            for number, axes in writers.images(4):
                writer.image(axes, writers.pixels(50 * run + number), writers.metadata(axes))
            writer.finish()
            sink.wait_frames(4 * (run + 1))
    assert [key[0] for key in sink.keys] == list(range(8))
    np.testing.assert_array_equal(sink.frames[5].pixels, writers.pixels(51))


def test_positions_tiles_cameras_and_axes_of_ones_own_keep_images_apart(tmp_path):
    writer = writers.JavaWriter(tmp_path)
    cases = [
        ({"time": 0, "position": "A1", "z": 0}, {"Camera": "left", "Multi-CameraChannelIndex": "0"}),
        ({"time": 0, "position": "A1", "z": 0}, {"Camera": "right", "Multi-CameraChannelIndex": "1"}),
        ({"time": 0, "position": "A1", "z": 1}, {}),
        ({"time": 0, "position": "B2", "z": 0}, {}),
        ({"time": 1, "position": "A1", "z": 0, "laser": 488}, {}),
        ({"time": 1, "position": "A1", "z": 0}, {"Camera": "right", "CameraChannelIndex": 1}),
        ({"time": 0, "position": "A1", "z": -1}, {}),
    ]
    for number, (axes, said) in enumerate(cases):
        writer.image(axes, writers.pixels(number), {"Axes": axes, "Channel": "GFP", **said})
    writer.finish()
    sink = once(tmp_path)
    assert sink.keys == [
        (0, 0, 0, 0),
        (0, 1, 0, 0),
        (0, 0, 1, 0),
        (0, 0, 0, 1),
        (1, 2, 0, 0),
        (1, 1, 0, 0),
    ]
    assert sink.series[-1].channels == ("GFP", "GFP (right)", "GFP, laser 488")
    assert [reason for _, reason, _ in sink.rejected] == ["axes"]


def test_colour_is_refused_in_words(tmp_path):
    writer = writers.JavaWriter(tmp_path)
    for number in range(3):
        image = np.full((8, 8, 3), number, np.uint8)
        writer.image({"time": number}, image, {"PixelType": "RGB32"}, kind=2)
    writer.finish()
    sink = once(tmp_path)
    assert not sink.frames
    assert [(name, reason) for name, reason, _ in sink.rejected] == [
        (f"cell_NDTiffStack.tif (time {t})", "unsupported") for t in range(3)
    ]
    assert "RGB" in sink.rejected[0][2]


def test_a_missing_index_and_a_damaged_one_are_named(tmp_path):
    writer = writers.JavaWriter(tmp_path)
    for number, axes in writers.images(3):
        writer.image(axes, writers.pixels(number), {"nothing": "said"})
    writer.finish()
    index = tmp_path / "NDTiff.index"
    data = index.read_bytes()
    entry = len(data) // 3
    index.write_bytes(data[:entry] + b"\xff" * 40)
    sink = once(tmp_path)
    assert len(sink.frames) == 1
    assert [(name, reason) for name, reason, _ in sink.rejected] == [("NDTiff.index", "unreadable")]
    index.unlink()
    sink = once(tmp_path)
    assert not sink.frames
    assert "there is no NDTiff.index" in sink.rejected[0][2]


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "count", "channels"),
    [
        ("v2/ndtiffv2.0_test", 10, 2),
        ("v3/ndtiffv3.0_test", 10, 2),
        ("v3/ndtiff3.2_multichannel", 256, 2),
        ("v3/no_magellan_explore_no_channel", 18, 1),
    ],
)
def test_micro_managers_own_data_sets(data_dir, name, count, channels):
    folder = data_dir / "micromanager" / "ndtiff" / name
    sink = once(folder)
    assert len(set(sink.keys)) == len(sink.frames) == count
    assert not sink.rejected
    assert len(sink.series[-1].channels) == channels
    assert all(frame.exposure_ms == 10 and frame.pixels.any() for frame in sink.frames)
    assert sink.series[0].pixel_size_um == 1.0


@pytest.mark.realdata
def test_pixels_are_those_that_ndstorage_reads(data_dir):
    from ndstorage import Dataset

    folder = data_dir / "micromanager" / "ndtiff" / "v3" / "ndtiff3.2_multichannel"
    sink = once(folder)
    with contextlib.redirect_stdout(None):
        theirs = Dataset(str(folder))
    try:
        for frame in sink.frames[::7]:
            np.testing.assert_array_equal(frame.pixels, theirs.read_image(**frame.metadata["axes"]))
    finally:
        theirs.close()


@pytest.mark.realdata
def test_micro_managers_colour_tiles_are_refused(data_dir):
    sink = once(data_dir / "micromanager" / "ndtiff" / "v3" / "ndtiff3.2_magellan_explore_rgb")
    assert not sink.frames
    assert [reason for _, reason, _ in sink.rejected] == ["unsupported"] * 3
