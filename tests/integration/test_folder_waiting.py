"""A folder in which there is nothing to take is said to be one, once."""

import os
import sys
import time

import numpy as np
import pytest
import tifffile
from watched_folder import watching

from quietscope.adapters.folder import waiting


@pytest.fixture(autouse=True)
def no_patience(monkeypatch):
    monkeypatch.setattr(waiting, "_PATIENCE_S", 0.0)


def until(caplog, words):
    deadline = time.monotonic() + 60
    while words not in caplog.text:
        assert time.monotonic() < deadline, caplog.text
        time.sleep(0.05)


def test_an_empty_folder_is_told_once_and_files_that_are_not_taken_once(tmp_path, caplog):
    with watching(tmp_path, poll_s=0.05) as sink:
        until(caplog, f"waiting for images in {tmp_path} and its sub-folders: there is none yet")
        (tmp_path / "day").mkdir()
        (tmp_path / ".hidden.czi").touch()
        (tmp_path / "day" / "cell.czi").touch()
        until(
            caplog,
            "what is there (day/cell.czi) is not taken, since only files named *.tif, *.tiff, *.png are",
        )
        time.sleep(0.5)  # several further scans
        tifffile.imwrite(tmp_path / "cell.tif", np.ones((8, 8), np.uint16))
        sink.wait_frames(1)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_is_told_in_characters_that_can_be_written(tmp_path, caplog):
    (tmp_path / os.fsdecode(b"\xe4.txt")).touch()
    with watching(tmp_path, poll_s=0.05):
        until(caplog, "what is there (\ufffd.txt) is not taken")
    caplog.text.encode()


def test_a_folder_with_an_image_that_is_still_written_waits_for_nothing_else(tmp_path, caplog):
    tifffile.imwrite(tmp_path / "whole.tif", np.ones((64, 64), np.uint16))
    content = (tmp_path / "whole.tif").read_bytes()
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "cell.tif").write_bytes(content[:100])
    (folder / "notes.txt").touch()
    with watching(folder, poll_s=0.05) as sink:
        time.sleep(0.5)  # several scans
        (folder / "cell.tif").write_bytes(content)
        sink.wait_frames(1)
    assert "waiting" not in caplog.text
