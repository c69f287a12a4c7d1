"""The watched folder, live: real files, written as other programs write them."""

import contextlib
import logging
import os
import shutil
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image
from watched_folder import once, watching

from quietscope.adapters.earlier import Earlier, EarlierFrame
from quietscope.config.errors import SourceError

RNG = np.random.default_rng(3)
FRAMES = RNG.integers(1, 5000, (12, 48, 64)).astype(np.uint16)


@pytest.fixture(params=[False, True], ids=["events", "polling"])
def polling(request):
    return request.param


def test_files_present_come_first_in_natural_order_then_arrivals(tmp_path, polling):
    for number in (10, 2, 1):
        tifffile.imwrite(tmp_path / f"cell{number}.tif", FRAMES[number])
    with watching(tmp_path, polling=polling) as sink:
        sink.wait_frames(3)
        for number in (7, 3):
            tifffile.imwrite(tmp_path / f"cell{number}.tif", FRAMES[number])
            sink.wait(lambda number=number: f"cell{number}.tif" in sink.names)
    assert sink.names == [f"cell{n}.tif" for n in (1, 2, 10, 7, 3)]
    assert sink.keys == [(t, 0, 0, 0) for t in range(5)]
    for frame, number in zip(sink.frames, (1, 2, 10, 7, 3), strict=True):
        np.testing.assert_array_equal(frame.pixels, FRAMES[number])
        assert frame.pixels.flags.owndata or frame.pixels.base is not None
    assert [(s.height, s.width, s.dtype, s.channels) for s in sink.series] == [
        (48, 64, "uint16", ("channel 0",))
    ]
    assert not sink.rejected


def test_a_file_written_in_pieces_is_taken_once_and_whole(tmp_path, polling):
    source = tmp_path / "made.bin"
    tifffile.imwrite(source, FRAMES, imagej=True, metadata={"axes": "TYX"})
    data = source.read_bytes()
    folder = tmp_path / "in"
    folder.mkdir()
    with watching(folder, polling=polling) as sink:
        with (folder / "x.tif").open("wb", buffering=0) as file:
            for start in range(0, len(data), 7000):
                file.write(data[start : start + 7000])
                time.sleep(0.02)
        sink.wait_frames(12)
        time.sleep(0.3)
    assert sink.keys == [(t, 0, 0, 0) for t in range(12)]
    np.testing.assert_array_equal([frame.pixels for frame in sink.frames], FRAMES)
    assert not sink.rejected


def test_pages_of_a_growing_stack_come_as_they_are_written(tmp_path, polling):
    with watching(tmp_path, polling=polling) as sink:
        path = tmp_path / "grow.tif"
        with path.open("wb+") as handle, tifffile.TiffWriter(handle, bigtiff=True) as writer:
            for number, plane in enumerate(FRAMES):
                writer.write(plane, contiguous=False)
                handle.flush()
                if number in {4, 9}:
                    # The link to a page is written with it, so the newest page is there at once.
                    sink.wait_frames(number + 1)
        sink.wait_frames(12)
        time.sleep(0.3)
    assert sink.keys == [(t, 0, 0, 0) for t in range(12)]
    np.testing.assert_array_equal([frame.pixels for frame in sink.frames], FRAMES)


def test_two_growing_stacks_never_share_a_time_point(tmp_path):
    with watching(tmp_path) as sink, contextlib.ExitStack() as stack:
        handles = [stack.enter_context((tmp_path / name).open("wb+")) for name in ("a.tif", "b.tif")]
        writers = [stack.enter_context(tifffile.TiffWriter(handle)) for handle in handles]
        for number, plane in enumerate(FRAMES):
            writers[number % 2].write(plane, contiguous=False)
            handles[number % 2].flush()
            sink.wait_frames(number + 1)
    assert sink.keys == [(t, 0, 0, 0) for t in range(12)]
    np.testing.assert_array_equal([frame.pixels for frame in sink.frames], FRAMES)


def test_another_process_writes_and_renames_into_place(tmp_path, polling):
    script = (
        "import sys, os, numpy, tifffile\n"
        "folder, = sys.argv[1:]\n"
        "for k in range(20):\n"
        "    temporary = os.path.join(folder, f'frame{k:03d}.part.tif')\n"
        "    tifffile.imwrite(temporary, numpy.full((48, 64), k + 1, 'uint16'))\n"
        "    os.replace(temporary, os.path.join(folder, f'frame{k:03d}.tif'))\n"
    )
    with watching(tmp_path, polling=polling) as sink:
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=60)
        sink.wait_frames(20)
        time.sleep(0.3)
    assert sorted(int(frame.pixels[0, 0]) for frame in sink.frames) == list(range(1, 21))
    assert sorted(key[0] for key in sink.keys) == list(range(20))
    assert not sink.rejected


def test_an_incomplete_file_is_given_up_and_taken_after_all(tmp_path, polling, caplog):
    caplog.set_level(logging.INFO, "quietscope.folder")
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, FRAMES[:3], imagej=True)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with watching(tmp_path, polling=polling, settle_s=0.4) as sink:
        sink.wait(lambda: sink.rejected)
        ((name, reason, detail),) = sink.rejected
        assert (name, reason) == ("x.tif", "truncated")
        assert "it will be taken once it becomes complete" in detail
        time.sleep(0.5)
        assert len(sink.rejected) == 1
        with path.open("ab") as file:
            file.write(data[len(data) // 2 :])
        sink.wait_frames(3)
        time.sleep(0.2)
    np.testing.assert_array_equal([frame.pixels for frame in sink.frames], FRAMES[:3])
    assert len(sink.rejected) == 1
    assert "taken after all" in caplog.text


def test_bad_files_are_named_counted_and_skipped(tmp_path, caplog):
    caplog.set_level(logging.INFO, "quietscope.folder")
    tifffile.imwrite(tmp_path / "a good.tif", FRAMES[0])
    (tmp_path / "empty.tif").touch()
    (tmp_path / "text.tif").write_text("not an image at all")
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((48, 64, 3), np.uint8))
    tifffile.imwrite(tmp_path / "double.tif", np.zeros((5, 48, 64)))
    tifffile.imwrite(tmp_path / "cut.tif", FRAMES[1])
    os.truncate(tmp_path / "cut.tif", 3000)
    (tmp_path / "folder.tif").mkdir()
    tifffile.imwrite(tmp_path / "folder.tif" / "Zellen µ-β 細胞.TIF", FRAMES[2])
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "broken.tif").symlink_to(tmp_path / "nowhere.tif")
    (tmp_path / ".hidden.tif").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe.tif")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.iterdir() if p.is_file()}
    sink = once(tmp_path)
    assert "taken after all" not in caplog.text
    assert sorted(sink.names) == ["a good.tif", "folder.tif/Zellen µ-β 細胞.TIF"]
    assert {name: reason for name, reason, _ in sink.rejected} == {
        "empty.tif": "truncated",
        "text.tif": "unreadable",
        "rgb.tif": "unsupported",
        "double.tif": "dtype",
        "cut.tif": "truncated",
    }
    assert len(sink.rejected) == 5
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.iterdir() if p.is_file()}


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_named_and_taken_when_allowed(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, FRAMES[0])
    path.chmod(0)
    with watching(tmp_path, settle_s=0.3) as sink:
        sink.wait(lambda: sink.rejected)
        path.chmod(0o600)
        sink.wait_frames(1)
    assert sink.rejected[0][1] == "unreadable"


def test_damaged_pixels_in_one_page_cost_only_that_page(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, FRAMES, compression="zlib")
    with tifffile.TiffFile(path) as tif:
        offset, count = tif.pages[5].dataoffsets[0], tif.pages[5].databytecounts[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + count] = bytes(count)
    path.write_bytes(data)
    sink = once(tmp_path)
    assert [frame.metadata["page"] for frame in sink.frames] == [n for n in range(12) if n != 5]
    ((name, reason, detail),) = sink.rejected
    assert (name, reason) == ("x.tif", "unreadable")
    assert "page 5" in detail


def test_a_file_that_disappears_unfinished_is_named(tmp_path):
    with watching(tmp_path) as sink:
        path = tmp_path / "x.tif"
        path.write_bytes(b"II*\0")
        time.sleep(0.4)
        path.unlink()
        sink.wait(lambda: sink.rejected)
    assert [(name, reason) for name, reason, _ in sink.rejected] == [("x.tif", "vanished")]


def test_a_folder_that_goes_away_comes_back(tmp_path, polling, caplog):
    folder = tmp_path / "share"
    folder.mkdir()
    tifffile.imwrite(folder / "x0.tif", FRAMES[0])
    with watching(folder, polling=polling) as sink:
        sink.wait_frames(1)
        folder.rename(tmp_path / "unmounted")
        time.sleep(0.6)
        (tmp_path / "unmounted").rename(folder)
        time.sleep(0.5)
        tifffile.imwrite(folder / "x1.tif", FRAMES[1])
        sink.wait_frames(2)
        shutil.rmtree(folder)
        time.sleep(0.6)
        folder.mkdir()
        tifffile.imwrite(folder / "x2.tif", FRAMES[2])
        sink.wait_frames(3)
    np.testing.assert_array_equal([frame.pixels for frame in sink.frames], FRAMES[:3])
    assert [record.getMessage().split(" is ")[-1][:4] for record in caplog.records] == ["away", "back"] * 2
    assert not sink.rejected


def test_new_sub_folders_and_moved_trees_are_found(tmp_path, polling):
    (tmp_path / "in").mkdir()
    (tmp_path / "other" / "deep").mkdir(parents=True)
    tifffile.imwrite(tmp_path / "other" / "deep" / "x.tif", FRAMES[0])
    with watching(tmp_path / "in", polling=polling) as sink:
        (tmp_path / "other").rename(tmp_path / "in" / "other")
        sink.wait_frames(1)
        (tmp_path / "in" / "new").mkdir()
        tifffile.imwrite(tmp_path / "in" / "new" / "y.tif", FRAMES[1])
        sink.wait_frames(2)
    assert sink.names == ["other/deep/x.tif", "new/y.tif"]


def test_sub_folders_are_left_alone_on_request(tmp_path):
    (tmp_path / "sub").mkdir()
    tifffile.imwrite(tmp_path / "sub" / "x.tif", FRAMES[0])
    tifffile.imwrite(tmp_path / "y.tif", FRAMES[1])
    assert once(tmp_path, recursive=False).names == ["y.tif"]


def test_without_native_events_the_scan_is_enough(tmp_path, monkeypatch, caplog):
    """Watches of the system run out: the same frames come, with one warning."""
    from watchdog.observers.api import BaseObserver

    def exhausted(self):
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(BaseObserver, "start", exhausted)
    with watching(tmp_path) as sink:
        tifffile.imwrite(tmp_path / "x.tif", FRAMES[0])
        sink.wait_frames(1)
    assert "inotify watch limit reached" in caplog.text


def test_a_missing_folder_says_how_to_mend_it(tmp_path):
    with pytest.raises(SourceError, match="mkdir"):
        once(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match="not a folder"):
        once(tmp_path / "file")
    assert once(tmp_path).frames == []


def earlier(sink, count):
    """What a run would know that was killed after `count` frames."""
    frames = [
        EarlierFrame(frame.key, frame.received_ns, zlib.crc32(frame.pixels.data), frame.metadata)
        for frame in sink.frames[:count]
    ]
    return Earlier(sink.series[-1], frames)


def grow_stack(folder, stack):
    for page in stack:
        tifffile.imwrite(folder / "x.tif", page, append=True, bigtiff=True, metadata=None)


def test_a_restart_takes_what_is_missing_and_counts_on(tmp_path):
    """Single images without numbers, a stack that grew, a name used again, and channels, each wherever it stopped."""
    tifffile.imwrite(tmp_path / "first.tif", FRAMES[0])
    grow_stack(tmp_path, FRAMES[1:4])
    tifffile.imwrite(tmp_path / "y.tif", FRAMES[4])
    before = once(tmp_path)
    assert [key[0] for key in before.keys] == [0, 1, 2, 3, 4]
    for count in range(1, 6):
        rest = once(tmp_path, earlier=earlier(before, count))
        assert rest.keys == before.keys[count:]
        for found, expected in zip(rest.frames, before.frames[count:], strict=True):
            np.testing.assert_array_equal(found.pixels, expected.pixels)
    known = earlier(before, 5)
    (tmp_path / "first.tif").rename(tmp_path / "renamed.tif")
    grow_stack(tmp_path, FRAMES[5:6])
    tifffile.imwrite(tmp_path / "a.tif", FRAMES[6])
    tifffile.imwrite(tmp_path / "y.tif", FRAMES[7])
    rest = once(tmp_path, earlier=known)
    assert sorted(rest.keys) == [(5, 0, 0, 0), (6, 0, 0, 0), (7, 0, 0, 0)]
    found = [int(np.flatnonzero((frame.pixels == FRAMES).all((1, 2)))[0]) for frame in rest.frames]
    assert sorted(found) == [5, 6, 7]


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_restart_keeps_channels_and_positions(tmp_path, count):
    names = [f"{p}/img_{t:09d}_{c}_000.tif" for t in range(2) for p in ("B", "A") for c in ("GFP", "RFP")]
    with watching(tmp_path) as before:
        for number, name in enumerate(names):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / name, FRAMES[number])
            before.wait_frames(number + 1)
    rest = once(tmp_path, earlier=earlier(before, count))
    assert sorted((frame.metadata["name"], frame.key) for frame in rest.frames) == sorted(
        (frame.metadata["name"], frame.key) for frame in before.frames[count:]
    )


@pytest.mark.realdata
def test_real_pngs_dropped_one_by_one(tmp_path, data_dir, polling):
    paths = sorted((data_dir / "fmd_50captures" / "raw").glob("*.png"))[:12]
    with watching(tmp_path, polling=polling) as sink:
        for path in paths:
            shutil.copy(path, tmp_path / path.name)
            time.sleep(0.03)
        sink.wait_frames(12)
    for t, path in enumerate(paths):
        frame = sink.frames[sink.names.index(path.name)]
        np.testing.assert_array_equal(frame.pixels, np.asarray(Image.open(path)))
        if not polling:
            assert frame.key == (t, 0, 0, 0)
    assert sorted(key[0] for key in sink.keys) == list(range(12))


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("folder", "name", "axes"),
    [
        ("nuclei_timelapse", "cancer_cell_migration_crop.tif", "t"),
        ("lysosome_timelapse", "01.tif", "t"),
        ("fura2_timelapse", "Fura2_PC12_T30C2_424x492_u16.tif", "tc"),
    ],
)
def test_real_time_lapses_growing_in_the_folder(tmp_path, data_dir, folder, name, axes):
    source = data_dir / folder / name
    data, truth = source.read_bytes(), tifffile.imread(source)
    with watching(tmp_path) as sink:
        with (tmp_path / name).open("wb", buffering=0) as file:
            step = len(data) // 9
            for start in range(0, len(data), step):
                file.write(data[start : start + step])
                time.sleep(0.02)
        sink.wait_frames(truth.shape[0] * (truth.shape[1] if axes == "tc" else 1))
    assert len(set(sink.keys)) == len(sink.frames)
    for frame in sink.frames:
        expected = truth[frame.key.t, frame.key.c] if axes == "tc" else truth[frame.key.t]
        np.testing.assert_array_equal(frame.pixels, expected)
    assert len(sink.series[-1].channels) == (2 if axes == "tc" else 1)
    assert len(sink.series) == 1


def test_micro_manager_names_give_keys_and_channel_names(tmp_path):
    for position in ("Pos0", "Pos1"):
        (tmp_path / position).mkdir()
        for t in range(2):
            for channel in ("DAPI", "GFP"):
                tifffile.imwrite(tmp_path / position / f"img_{t:09d}_{channel}_000.tif", FRAMES[t])
    (tmp_path / "Pos0" / "display.tif").write_bytes(b"II*\0")
    sink = once(tmp_path)
    assert sorted(sink.keys) == [(t, c, 0, p) for t in range(2) for c in range(2) for p in range(2)]
    assert sink.series[-1].channels == ("DAPI", "GFP")
    assert [(name, reason) for name, reason, _ in sink.rejected] == [("Pos0/display.tif", "name")]


def test_a_channel_that_appears_later_is_announced(tmp_path):
    with watching(tmp_path, pattern=r"(?P<c>[a-z]+)_(?P<t>\d+)") as sink:
        for t, channel in enumerate(["red", "green", "red", "blue"]):
            tifffile.imwrite(tmp_path / f"{channel}_{t}.tif", FRAMES[t])
            sink.wait_frames(t + 1)
    assert [series.channels for series in sink.series] == [
        ("red",),
        ("red", "green"),
        ("red", "green", "blue"),
    ]
    assert [key[:2] for key in sink.keys] == [(0, 0), (1, 1), (2, 0), (3, 2)]


def test_numbers_that_begin_with_one(tmp_path):
    for t in (1, 2):
        for c in (1, 2):
            tifffile.imwrite(tmp_path / f"c{c}_t{t}.tif", FRAMES[t])
    sink = once(tmp_path, pattern=r"c(?P<c>\d+)_t(?P<t>\d+)", first_index=1)
    assert [key[:2] for key in sink.keys] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert len(sink.series[-1].channels) == 2


def test_a_pattern_without_time_counts_arrivals_in_each_channel(tmp_path):
    for t in range(3):
        for channel in "ab":
            tifffile.imwrite(tmp_path / f"{t}_{channel}.tif", FRAMES[t])
    sink = once(tmp_path, pattern=r"_(?P<c>[ab])\.tif")
    assert [key[:2] for key in sink.keys] == [(t, c) for t in range(3) for c in range(2)]


def test_name_and_contents_that_contradict_each_other_are_refused_with_the_mend(tmp_path):
    tifffile.imwrite(tmp_path / "t3.tif", FRAMES, metadata={"axes": "TYX"})
    sink = once(tmp_path, pattern=r"t(?P<t>\d+)")
    assert sink.frames == []
    ((_, reason, detail),) = sink.rejected
    assert reason == "axes"
    assert "stack_axes" in detail
    # Pages without a meaning of their own are z where the name gives t.
    tifffile.imwrite(tmp_path / "t4.tif", FRAMES[:2])
    assert once(tmp_path, pattern=r"t(?P<t>[4])").keys == [(4, 0, z, 0) for z in range(2)]


def test_frames_of_another_shape_go_to_the_sink_with_their_name(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", FRAMES[0])
    tifffile.imwrite(tmp_path / "b.tif", FRAMES[0, :20])
    sink = once(tmp_path)
    assert [(frame.pixels.shape, frame.metadata["name"]) for frame in sink.frames] == [
        ((48, 64), "a.tif"),
        ((20, 64), "b.tif"),
    ]
    assert len(sink.series) == 1


def test_an_ome_tiff_written_slowly_keeps_its_axes(tmp_path):
    """Its description comes last: planes beyond the first wait for it rather than being mistaken for time points."""
    source = tmp_path / "made.bin"
    stack = FRAMES.reshape(3, 2, 2, 48, 64)
    tifffile.imwrite(
        source,
        stack,
        ome=True,
        compression="zlib",
        metadata={"axes": "TZCYX", "Channel": {"Name": ["A", "B"]}},
    )
    data = source.read_bytes()
    folder = tmp_path / "in"
    folder.mkdir()
    with watching(folder) as sink:
        with (folder / "x.ome.tif").open("wb", buffering=0) as file:
            for start in range(0, len(data), 9000):
                file.write(data[start : start + 9000])
                time.sleep(0.02)
        sink.wait_frames(12)
    assert sink.series[-1].channels == ("A", "B")
    for frame in sink.frames:
        np.testing.assert_array_equal(frame.pixels, stack[frame.key.t, frame.key.z, frame.key.c])
