"""Every way in from Micro-Manager: the real core with its simulated camera, into real recorder processes."""

import datetime as dt
import json
import queue
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.micromanager.running import find_running, open_running
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.config import RunError
from quietscope.config.loader import load_settings, settings_to_toml
from quietscope.daemon.child import Child
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.spool import read_spool

pytest.importorskip(
    "mm_test_adapters", reason="Micro-Manager's simulated camera has no wheel for this platform"
)

SCENES = Path(__file__).parent / "micromanager" / "scenes.py"


class Recorder:
    """A recorder process."""

    def __init__(self, folder: Path, name: str) -> None:
        settings = load_settings(overrides=[f"out={folder}", f"name={name}", "source.kind=wire"])
        self.run = RunFolder.create(settings.out, settings.name)
        self.run.settings.write_text(settings_to_toml(settings), encoding="utf-8")
        self.events: queue.SimpleQueue[dict] = queue.SimpleQueue()
        self.child = Child(
            "recorder", ["recorder", str(self.run.root)], self.events, self.run.child_errors("recorder")
        )

    def wait(self, event: str, timeout_s: float = 120.0) -> dict:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                found = self.events.get(timeout=0.2)
            except queue.Empty:
                continue
            if found["event"] == event:
                return found
        pytest.fail(f"no {event}: {self.run.child_errors('recorder').read_text()}")

    def finish(self) -> None:
        self.child.tell("stop")
        self.wait("intake_ended")
        self.child.tell("finish")
        assert self.child.end(20) == 0


@pytest.fixture
def recorders(tmp_path):
    made: dict[str, Recorder] = {}

    def make(*names: str) -> dict[str, Recorder]:
        made.update({name: Recorder(tmp_path, name) for name in names})
        return made

    yield make
    for one in made.values():
        one.child.end(0)


def play(scene: str, recorders: dict[str, Recorder], folder: Path, **more) -> dict:
    endpoints = {name: one.wait("ready")["endpoint"] for name, one in recorders.items()} | more
    if "run" in recorders:
        run = recorders["run"].run
        run.write_endpoints({"ingest": endpoints["run"], "pids": {"recorder": recorders["run"].child.pid}})
        endpoints |= {"run": str(run.root), "pid": recorders["run"].child.pid}
        endpoints |= {"stalled_pid": recorders["stalled"].child.pid}
    addresses, result = folder / "endpoints.json", folder / "result.json"
    addresses.write_text(json.dumps(endpoints))
    done = subprocess.run(
        [sys.executable, str(SCENES), scene, str(addresses), str(result)],
        capture_output=True, text=True, timeout=200, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(result.read_text())
    found["output"] = found.get("output", "")
    found["words"] = done.stderr
    return found


def same_pixels(recorder: Recorder, frames: list) -> None:
    """The store holds exactly the frames that Micro-Manager has, pixel by pixel."""
    expected = {FrameKey(*key): checksum for key, checksum in frames}
    assert len(expected) == len(frames)
    with LedgerReader(recorder.run.ledger) as ledger:
        assert set(ledger.checksums()) == set(expected)
    store = StoreReader(recorder.run.root)
    wrong = [
        key for key, checksum in expected.items() if zlib.crc32(store.read("raw", key).tobytes()) != checksum
    ]
    assert wrong == []


def good(report: dict, count: int) -> None:
    assert report == {
        "seen": count, "stored": count, "rejected": 0, "lost": 0, "late": 0, "missed": 0, "faults": [],
    }  # fmt: skip


def test_a_run_that_goes_on_is_found_and_one_that_has_died_is_not(recorders, tmp_path):
    one = recorders("a")["a"]
    endpoint = one.wait("ready")["endpoint"]
    assert find_running(tmp_path) is None
    one.run.write_endpoints({"ingest": endpoint, "pids": {"recorder": one.child.pid}})
    found = find_running(tmp_path)
    assert found is not None
    assert (found.ingest, found.root) == (endpoint, one.run.root)
    assert open_running(one.run.root) == found
    one.child.end(0)
    assert find_running(tmp_path) is None
    with pytest.raises(RunError, match="no run is going on"):
        open_running(one.run.root)


def test_every_frame_once_through_both_faces_of_pycromanager(recorders, tmp_path):
    one = recorders("a")["a"]
    found = play("pycromanager_faces", {"a": one}, tmp_path)
    for report in found["reports"]:
        good(report, 218)
    one.finish()
    assert len(found["frames"]) == 436
    same_pixels(one, found["frames"])
    with LedgerReader(one.run.ledger) as ledger:
        series = ledger.series()
        pending = ledger.pending((0, 1, 2), limit=1000)
    assert series.channels == ("DAPI", "FITC", "Camera")
    assert series.pixel_size_um == 1.0
    times = {frame.key: frame.received_ns for frame in pending}
    for first in (3, 206):
        stamps = np.array([times[FrameKey(first + n, 2)] for n in range(200)])
        assert np.all(np.diff(stamps) > 0)
        assert found["began_ns"] < stamps[0]
        assert stamps[-1] < found["ended_ns"]


def test_kinds_of_acquisitions(recorders, tmp_path):
    made = recorders("a", "b", "c", "d", "e")
    found = play("pycromanager_kinds", made, tmp_path)
    for one in made.values():
        one.finish()

    eight = found["eight_bit"]
    same_pixels(made["a"], eight["frames"])
    assert eight["report"]["stored"] == 10
    assert eight["report"]["rejected"] == 10, "16 bit does not belong to an 8-bit series"
    assert len(eight["report"]["faults"]) == 1
    assert "start a new run" in eight["report"]["faults"][0]
    assert found["words"].count("does not belong to a series") == 1
    with LedgerReader(made["a"].run.ledger) as ledger:
        assert ledger.series().dtype == "uint8"
        assert ledger.rejected() == {"shape": 10}

    good(found["diverted"]["report"], 10)
    assert found["diverted"]["kept"] == 0
    same_pixels(made["b"], found["diverted"]["frames"])

    good(found["positions"]["report"], 9)
    same_pixels(made["c"], found["positions"]["frames"])

    seen = found["aborted"]["report"]["seen"]
    good(found["aborted"]["report"], seen)
    assert 30 <= seen < 100_000
    same_pixels(made["d"], found["aborted"]["frames"])

    good(found["two_cameras"]["report"], 48)
    same_pixels(made["e"], found["two_cameras"]["frames"])
    with LedgerReader(made["e"].run.ledger) as ledger:
        assert ledger.series().channels == (
            "Both", "Both camera 2", "DAPI", "DAPI camera 2", "FITC", "FITC camera 2",
        )  # fmt: skip


def test_faults_behind_the_hook_do_not_reach_the_acquisition(recorders, tmp_path):
    made = recorders("a", "b", "stalled", "run")
    found = play("pycromanager_faults", made, tmp_path)

    full = found["full"]
    assert full["kept"] == 100
    assert full["report"]["lost"] > 0
    assert full["report"]["seen"] == full["report"]["stored"] + full["report"]["lost"] == 100
    assert len(full["report"]["faults"]) == 1
    assert "memory_mb" in full["report"]["faults"][0]

    live = found["live_mode"]["report"]
    assert live["seen"] == live["stored"] >= 10
    assert live["faults"] == []
    made["b"].finish()
    with LedgerReader(made["b"].run.ledger) as ledger:
        assert any("NOT lossless" in event.text for event in ledger.events())

    stalled = found["stalled"]
    good(stalled["report"], 300)
    assert stalled["peak_mb"] < 4
    made["stalled"].finish()
    same_pixels(made["stalled"], stalled["frames"])

    killed = found["killed"]
    assert killed["kept"] == 300
    assert len(killed["report"]["faults"]) == 2
    assert "no longer going on" in killed["report"]["faults"][0]
    assert "quietscope resume" in killed["report"]["faults"][1]
    run = made["run"].run
    truth = {FrameKey(*key): checksum for key, checksum in killed["frames"]}
    with LedgerReader(run.ledger) as ledger:
        kept = ledger.checksums()
    rescued = {
        f.key: zlib.crc32(f.pixels.tobytes())
        for file in run.root.glob("spool-*.bin")
        for f in read_spool(file)
    }
    assert rescued.items() <= truth.items()
    report = killed["report"]
    assert report["seen"] == 300
    assert report["lost"] == 0
    assert len(kept.keys() | rescued.keys()) + report["late"] == 300


def test_pymmcore_plus_as_output_and_as_listener(recorders, tmp_path):
    made = recorders("a", "b", "c")
    found = play("plus_faces", made, tmp_path)
    for one in made.values():
        one.finish()
    good(found["output"]["report"], 218)
    same_pixels(made["a"], found["output"]["frames"])
    with LedgerReader(made["a"].run.ledger) as ledger:
        assert ledger.series().channels == ("DAPI", "FITC", "channel")
        assert ledger.series().planned == {"t": 3, "c": 2, "z": 3}
        pending = ledger.pending((0, 1, 2), limit=1000)
    times = {frame.key: frame.received_ns for frame in pending}
    stamps = found["output"]["stamps"]
    assert len(stamps) == 218
    taken = np.array([times[FrameKey(*key)] for key, _ in found["output"]["frames"]])
    assert np.all((found["began_ns"] < taken) & (taken < found["ended_ns"]))
    by_runner = np.array([milliseconds for milliseconds, _ in stamps[:18]])  # snapped: the core has no stamps
    start = taken[:18] / 1e6 - by_runner  # known ever better: from the frame that arrived soonest
    assert np.all(np.diff(start) <= 0.01)
    assert start[0] - start[-1] < 1000
    by_core = [dt.datetime.fromisoformat(stamp).timestamp() for _, stamp in stamps[18:]]  # local time
    np.testing.assert_allclose(taken[18:] / 1e9, by_core, rtol=0, atol=1e-5)

    assert "no such filter" in found["failed"]
    frames = found["listener"]["frames"]
    good(found["listener"]["report"], len(frames))
    same_pixels(made["b"], frames)
    with LedgerReader(made["b"].run.ledger) as ledger:
        words = [event.text for event in ledger.events()]
    assert words.count("the acquisition was paused") == 1
    assert words.count("the acquisition was cancelled") == 1

    good(found["two_cameras"]["report"], 40)
    same_pixels(made["c"], found["two_cameras"]["frames"])
