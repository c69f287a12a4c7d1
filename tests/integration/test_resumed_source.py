"""A recorder that is killed while it follows a folder, and started again: every frame once, none wrong."""

import json
import os
import queue
import signal
import subprocess
import sys
import time
from pathlib import Path

import ndtiff_writer as writers
import numpy as np
import pytest
import tifffile

from quietscope.adapters.ome_zarr import StoreReader
from quietscope.config import LedgerError
from quietscope.config.loader import load_settings, settings_to_toml
from quietscope.daemon.child import Child
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.runfolder import RunFolder


class Recorders:
    """The recorder processes of one run, one after the other."""

    def __init__(self, out: Path, folder: Path, *changes: str) -> None:
        settings = load_settings(
            overrides=[f"out={out}", "name=run", *changes],
            base={"source": {"kind": "folder", "path": str(folder), "poll_s": 0.2}},
        )
        self.run = RunFolder.create(settings.out, settings.name)
        self.run.settings.write_text(settings_to_toml(settings), encoding="utf-8")
        self.child = None

    def start(self, *arguments: str) -> None:
        self.events: queue.SimpleQueue[dict] = queue.SimpleQueue()
        command = ["recorder", str(self.run.root), *arguments]
        self.child = Child("recorder", command, self.events, self.run.child_errors("recorder"))

    def wait(self, event: str, timeout_s: float = 60.0) -> dict:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                found = self.events.get(timeout=0.2)
            except queue.Empty:
                continue
            if found["event"] == event:
                return found
        pytest.fail(f"no {event!r} within {timeout_s} s: {self.run.child_errors('recorder').read_text()}")

    def kill_at(self, count: int) -> None:
        """Kill the recorder as soon as so many frames are in the ledger."""
        deadline = time.monotonic() + 60
        while self.stored() < count:
            assert time.monotonic() < deadline, self.run.child_errors("recorder").read_text()
            time.sleep(0.01)
        os.kill(self.child.pid, signal.SIGKILL)
        self.child.end(5)

    def stored(self) -> int:
        if not self.run.ledger.is_file():
            return 0
        try:
            with LedgerReader(self.run.ledger) as ledger:
                return sum(ledger.counts().values())
        except LedgerError:
            return 0  # its tables are not made yet

    def finish(self) -> dict:
        ended = self.wait("intake_ended")
        self.child.tell("finish")
        self.wait("finished")
        assert self.child.end(10) == 0
        return ended


@pytest.fixture
def recorders(tmp_path):
    made = []

    def make(folder: Path, *changes: str) -> Recorders:
        made.append(Recorders(tmp_path, folder, *changes))
        return made[-1]

    yield make
    for one in made:
        if one.child is not None:
            one.child.end(0)


pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")


@pytest.mark.parametrize("kind", ["ndstorage", "java"])
def test_a_killed_follower_misses_nothing_of_a_growing_data_set(recorders, tmp_path, kind):
    folder = tmp_path / "images"
    folder.mkdir()
    one = recorders(folder, "stop.frames=300")
    options = {"count": 300, "channels": 2, "per_stack": 130, "pause_s": 0.02}
    one.start()
    one.wait("ready")
    with subprocess.Popen(
        [sys.executable, writers.__file__, kind, str(folder / "cell"), json.dumps(options)]
    ) as writer:
        try:
            one.kill_at(60)
            time.sleep(0.2)
            one.start("--resume", "1", "--follow", "1")
            one.kill_at(150)
            one.start("--resume", "1", "--follow", "1")
            assert one.finish()["received"] == 300
            assert writer.wait(120) == 0
        finally:
            writer.kill()
    whole(one, 300)


def whole(one: Recorders, count: int) -> None:
    with LedgerReader(one.run.ledger) as ledger:
        assert ledger.rejected() == {}
        frames = ledger.all_frames(limit=count + 1)
        assert ledger.series().channels == ("DAPI", "FITC")
    assert {tuple(frame.key) for frame in frames} == {(n // 2, n % 2, 0, 0) for n in range(count)}
    assert len(frames) == count
    store = StoreReader(one.run.root)
    for frame in frames:
        expected = writers.pixels(2 * frame.key.t + frame.key.c)
        np.testing.assert_array_equal(store.read("raw", frame.key), expected)


def test_a_run_that_died_before_its_first_frame_is_resumed_to_nothing(recorders, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    one = recorders(folder)
    one.start()
    one.wait("ready")
    one.kill_at(0)
    one.start("--resume", "1")
    ended = one.finish()
    assert (ended["received"], ended["source_failed"]) == (0, False)


def test_resume_takes_what_lies_there_and_ends(recorders, tmp_path):
    """Without --follow: what was written meanwhile is taken once, also by a third call, and nothing is named twice."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "bad.tif").write_bytes(b"no image at all, but long enough")
    one = recorders(folder)
    one.start()
    for number in range(10):
        tifffile.imwrite(folder / f"cell_{number}.tif", writers.pixels(number))
    one.kill_at(10)
    for number in range(10, 14):
        tifffile.imwrite(folder / f"cell_{number}.tif", writers.pixels(number))
    for count in (14, 14):
        one.start("--resume", "1")
        assert one.finish()["received"] == count
    tifffile.imwrite(folder / "cell_14.tif", writers.pixels(14))
    one.start("--resume", "1")
    assert one.finish()["received"] == 14, "the run had ended in order"
    store = StoreReader(one.run.root)
    with LedgerReader(one.run.ledger) as ledger:
        assert ledger.rejected() == {"unreadable": 1}
        for frame in ledger.all_frames():
            number = int(ledger.details(frame.id)[1]["name"].removeprefix("cell_").removesuffix(".tif"))
            np.testing.assert_array_equal(store.read("raw", frame.key), writers.pixels(number))
    one.start("--resume", "1", "--follow", "1")
    one.kill_at(15)


def test_a_stopped_run_over_an_earlier_one_resumes_with_the_rest(recorders, tmp_path, monkeypatch):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(12):
        tifffile.imwrite(folder / f"cell_{number}.tif", writers.pixels(number))
    earlier = recorders(folder, "source.follow=false")
    earlier.start()
    assert earlier.finish()["received"] == 12
    small = ("recorder.ring_mb=0.001", "recorder.writers=1")
    one = recorders(folder, "name=again", "source.kind=run", f"source.path={earlier.run.root}", *small)
    monkeypatch.setenv("QUIETSCOPE_FAULTS", "store.write=slow:0.5")
    one.start()
    one.wait("series")
    one.child.tell("stop")
    assert one.finish()["received"] < 12
    monkeypatch.delenv("QUIETSCOPE_FAULTS")
    one.start("--resume", "1")
    assert one.finish()["received"] == 12
