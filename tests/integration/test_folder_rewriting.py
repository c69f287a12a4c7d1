"""The watched folder when files are renamed, moved, replaced, or written again under their name."""

import logging
import os
import time

import numpy as np
import pytest
import tifffile
from PIL import Image
from watched_folder import Taken, watching

from quietscope.adapters.delivery import Delivery
from quietscope.adapters.folder.inventory import Inventory
from quietscope.adapters.folder.keys import KeyMaker
from quietscope.adapters.folder.naming import NameReader
from quietscope.adapters.folder.taker import Taker
from quietscope.adapters.timeline import Timeline
from quietscope.config.sources import FolderSettings

RNG = np.random.default_rng(3)
FRAMES = RNG.integers(1, 5000, (12, 48, 64)).astype(np.uint16)


@pytest.fixture(params=[False, True], ids=["events", "polling"])
def polling(request):
    return request.param


def test_renamed_moved_linked_and_touched_files_are_no_second_frame(tmp_path, polling):
    (tmp_path / "sub").mkdir()
    for number in range(3):
        tifffile.imwrite(tmp_path / f"x{number}.tif", FRAMES[number])
    with watching(tmp_path, polling=polling) as sink:
        sink.wait_frames(3)
        (tmp_path / "x0.tif").rename(tmp_path / "y0.tif")
        (tmp_path / "x1.tif").rename(tmp_path / "sub" / "x1.tif")
        os.link(tmp_path / "x2.tif", tmp_path / "z2.tif")
        (tmp_path / "w2.tif").symlink_to(tmp_path / "x2.tif")
        os.utime(tmp_path / "x2.tif", (1, 1))
        time.sleep(0.5)
        tifffile.imwrite(tmp_path / "new.tif", FRAMES[5])
        sink.wait_frames(4)
        time.sleep(0.3)
    assert sink.names == ["x0.tif", "x1.tif", "x2.tif", "new.tif"]
    assert not sink.rejected


def test_a_new_file_under_an_old_name_is_a_new_frame(tmp_path, polling):
    with watching(tmp_path, polling=polling) as sink:
        for number in range(4):
            tifffile.imwrite(tmp_path / "latest.part", FRAMES[number])
            (tmp_path / "latest.part").replace(tmp_path / "latest.tif")
            sink.wait_frames(number + 1)
    np.testing.assert_array_equal([frame.pixels for frame in sink.frames], FRAMES[:4])


def test_a_file_written_again_in_place_is_a_new_frame(tmp_path, polling, caplog):
    caplog.set_level(logging.INFO, "quietscope.folder")
    with watching(tmp_path, polling=polling) as sink:
        for number in range(3):
            tifffile.imwrite(tmp_path / "latest.tif", FRAMES[number])
            sink.wait_frames(number + 1)
    np.testing.assert_array_equal([frame.pixels for frame in sink.frames], FRAMES[:3])
    assert [key[0] for key in sink.keys] == [0, 1, 2]
    assert caplog.text.count("taken as new") == 2
    assert not sink.rejected


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_file_written_again_that_grew_is_a_new_frame(tmp_path, polling, suffix):
    """Compressed pictures differ in size, and a writer need not cut the old one off first."""
    path = tmp_path / f"latest.{suffix}"
    plain, rough = (
        np.zeros((64, 64), np.uint16),
        np.random.default_rng(0).integers(0, 4096, (64, 64), np.uint16),
    )
    frames = [plain, rough, rough + 1, plain]
    with watching(tmp_path, polling=polling) as sink:
        for number, frame in enumerate(frames):
            made = tmp_path / f"part.{suffix}.tmp"
            if suffix == "png":
                Image.fromarray(frame).save(made, format="png")
            else:
                tifffile.imwrite(made, frame, compression="zlib")
            with path.open("r+b" if path.exists() else "xb") as file:
                file.write(made.read_bytes())
                file.truncate()
            sink.wait_frames(number + 1)
    np.testing.assert_array_equal([frame.pixels for frame in sink.frames], frames)
    assert not sink.rejected


def test_a_file_that_was_not_whole_when_first_seen_may_be_written_again(tmp_path):
    sink, path = Taken(), tmp_path / "latest.tif"
    settings, channels = FolderSettings(path=tmp_path), []
    inventory = Inventory(tmp_path, settings.include, recursive=False)
    keys = KeyMaker(NameReader(None), 0, channels)
    taker = Taker(settings, inventory, keys, Delivery(sink, "a test", channels, Timeline()))
    tifffile.imwrite(path, FRAMES[0])
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    record = inventory.meet("latest.tif")
    path.write_bytes(whole)
    assert taker.look(record)
    tifffile.imwrite(path, FRAMES[1])
    assert inventory.meet("latest.tif") is record
    assert taker.look(record)
    np.testing.assert_array_equal([frame.pixels for frame in sink.frames], FRAMES[:2])


def test_deleted_files_make_room_for_new_ones_with_their_inode(tmp_path, polling):
    with watching(tmp_path, polling=polling) as sink:
        for number in range(8):
            path = tmp_path / f"x{number}.tif"
            tifffile.imwrite(path, FRAMES[number])
            sink.wait_frames(number + 1)
            path.unlink()
    np.testing.assert_array_equal([frame.pixels for frame in sink.frames], FRAMES[:8])
    assert not sink.rejected
