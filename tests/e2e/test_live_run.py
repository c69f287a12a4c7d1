"""Whole runs through the command line: real processes, real sockets, real training."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.adapters.subscriber import Subscriber
from quietscope.config.shelf import ModelsSettings
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.shelf import Shelf

pytestmark = pytest.mark.slow

SUMMARY_KEYS = {
    "frames_received",
    "raw_stored",
    "denoised",
    "skipped",
    "rejected",
    "trust",
    "published",
    "shown_below_full",
    "time_to_first_denoised_s",
    "fps",
    "latency_ms",
    "training_s",
    "models",
    "earlier_models",
    "psnr_raw",
    "psnr_denoised",
    "slope",
    "noise",
    "provider",
    "store",
    "exit_reason",
    "faults",
}
TRUTH_KEYS = {"psnr_raw", "psnr_denoised", "slope"}
SMALL = [
    "source.height=128",
    "source.width=128",
    "training.frames=6",
    "training.budget_s=600",
    "training.max_steps=250",
    "source.photons=60.0",
    "training.threads=1",
    "adaptive_sn2n.base_channels=16",
    "adaptive_sn2n.batch=8",
]


class Run:
    """A quietscope command in a process of its own."""

    def __init__(self, folder: Path, *arguments: str, changes: list[str]) -> None:
        self.folder = folder
        self.json = folder / "summary.json"
        command = [sys.executable, "-m", "quietscope.daemon", *arguments]
        command += ["--out", str(folder), "--name", "run", "--json", str(self.json)]
        command += [part for change in changes for part in ("--set", change)]
        self.output = (folder / "output.txt").open("w")
        self.process = subprocess.Popen(
            command, cwd=folder, stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True
        )

    @property
    def root(self) -> Path:
        return self.folder / "run"

    def wait(self, timeout_s: float = 240.0) -> int:
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"still running after {timeout_s} s:\n{self.text()}")

    def text(self) -> str:
        self.output.flush()
        return (self.folder / "output.txt").read_text(errors="replace")

    def summary(self) -> dict:
        return json.loads(self.json.read_text())

    def addresses(self, timeout_s: float = 60.0) -> dict:
        path = self.root / "endpoints.json"
        deadline = time.monotonic() + timeout_s
        while not path.exists():
            assert time.monotonic() < deadline, self.text()
            assert self.process.poll() is None, self.text()
            time.sleep(0.1)
        return json.loads(path.read_text())

    def until(self, words: str, timeout_s: float = 120.0) -> None:
        deadline = time.monotonic() + timeout_s
        while words not in self.text():
            assert time.monotonic() < deadline, f"{words!r} was not said:\n{self.text()}"
            assert self.process.poll() is None, self.text()
            time.sleep(0.1)

    def kill(self) -> None:
        try:
            family = [self.process, *psutil.Process(self.process.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            family = []
        for process in family:
            process.kill()
        self.process.wait(10)
        self.output.close()


@pytest.fixture
def start(tmp_path):
    runs = []

    def begin(*arguments: str, changes: list[str]) -> Run:
        runs.append(Run(tmp_path, *arguments, changes=changes))
        return runs[-1]

    yield begin
    for run in runs:
        run.kill()


def balance(run: Run) -> dict:
    found = run.summary()
    assert found["frames_received"] == found["raw_stored"], found
    assert found["raw_stored"] == found["denoised"] + sum(found["skipped"].values()), found
    assert "No frame lost" in (run.root / "report.html").read_text(encoding="utf-8"), run.text()
    return found


def test_simulated_series_from_camera_to_store(start):
    run = start("demo", changes=[*SMALL, "source.frames=20", "source.rate_hz=4", "models.shelf=shelf"])
    assert run.wait() == 0, run.text()
    found = balance(run)
    assert set(found) == SUMMARY_KEYS
    assert found["earlier_models"] == {}
    assert found["frames_received"] == 40
    assert found["denoised"] == 40
    assert found["rejected"] == {}
    assert found["exit_reason"] == "source ended"
    assert found["provider"] in {"cpu", "cuda", "openvino float32", "openvino bfloat16"}
    assert 0 < found["published"] <= 40
    for channel in ("mitochondria", "er"):
        assert found["psnr_denoised"][channel] > found["psnr_raw"][channel] + 6
        assert found["slope"][channel] == pytest.approx(1, abs=0.05)
    assert (run.folder / "demo.png").stat().st_size > 10_000
    store = StoreReader(run.root)
    with LedgerReader(run.root / "ledger.db") as ledger:
        models = {v.model_id for v in ledger.verdicts().values()}
    assert len(models) == 2
    kept = Shelf.of(ModelsSettings(shelf=str(run.folder / "shelf"))).models()
    assert {model.model_id for model in kept} == models
    assert "mitochondria, 128×128 pixels" in kept[-1].fingerprint.words
    assert not np.array_equal(store.read("raw", FrameKey(19, 1)), store.read("denoised", FrameKey(19, 1)))
    assert sum(found["trust"].values()) == 40
    assert found["trust"]["green"] >= 36
    trust = store.read("trust", FrameKey(19, 1))
    assert trust.shape == (128, 128)
    assert trust.mean() > 127


def test_faults_of_the_camera_are_counted_and_no_good_frame_is_lost(start):
    faults = [f"source.faults.{kind}=0.1" for kind in ("drop", "duplicate", "reorder", "corrupt")]
    run = start("demo", changes=[*SMALL, *faults, "source.frames=30", "source.rate_hz=10"])
    assert run.wait() == 0, run.text()
    found = balance(run)
    assert found["frames_received"] < 60
    assert found["rejected"]["duplicate"] > 0
    assert found["rejected"]["shape"] > 0
    assert set(found["rejected"]) == {"duplicate", "shape"}


def test_ctrl_c_trains_on_what_is_there_and_fills_the_store_up(start):
    run = start("demo", changes=[*SMALL, "source.frames=10000", "source.rate_hz=4", "training.frames=1000"])
    run.until("series:")
    time.sleep(2)
    run.process.send_signal(signal.SIGINT)
    assert run.wait() == 0, run.text()
    found = balance(run)
    assert found["exit_reason"] == "stopped by Ctrl-C"
    assert found["denoised"] > 0


def test_second_ctrl_c_stops_at_once_and_says_so(start):
    run = start(
        "demo", changes=[*SMALL, "source.frames=10000", "source.rate_hz=4", "training.max_steps=1000000"]
    )
    run.until("training mitochondria")
    run.process.send_signal(signal.SIGINT)
    run.until("intake ended")
    run.process.send_signal(signal.SIGINT)
    assert run.wait(20) != 0
    assert "aborted" in run.text()


def test_watched_folder_of_two_channels_named_by_a_pattern(start, tmp_path):
    folder = tmp_path / "incoming"
    folder.mkdir()
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:96, :112]
    run = start(
        "watch",
        str(folder),
        "--frames",
        "32",
        changes=[
            "training.frames=6",
            "training.budget_s=600",
            "training.max_steps=60",
            "training.threads=1",
            r"source.pattern=t(?P<t>\d+)_(?P<c>\w+)\.tif",
        ],
    )
    run.addresses()
    for t in range(16):
        for c, name in enumerate(("GFP", "mCherry")):
            clean = 100 + 40 * (1 + np.sin((x + 2 * t) / (7 + 2 * c)) * np.cos(y / 9))
            tifffile.imwrite(folder / f"t{t:03d}_{name}.tif", rng.poisson(clean).astype("uint16"))
    (folder / "t099_GFP.tif").write_bytes(b"II*\0 this is no image")
    assert run.wait() == 0, run.text()
    found = balance(run)
    assert found["frames_received"] == 32
    assert found["exit_reason"] == "32 frames received"
    assert not set(found) & TRUTH_KEYS
    with LedgerReader(run.root / "ledger.db") as ledger:
        series = ledger.series()
        assert series is not None
        assert set(series.channels) == {"GFP", "mCherry"}


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.parametrize("victim", ["processor", "trainer"])
def test_dead_helper_is_started_again_and_catches_up(start, victim):
    run = start("demo", changes=[*SMALL, "source.frames=60", "source.rate_hz=6"])
    addresses = run.addresses()
    with Subscriber(addresses["publish"], timeout=60) as viewer:
        run.until("training mitochondria")
        os.kill(json.loads((run.root / "endpoints.json").read_text())["pids"][victim], signal.SIGKILL)
        run.until(f"the {victim} is started again: the {victim} died (status -9)")
        assert next(iter(viewer)).pixels.shape == (128, 128)
    assert run.wait() == 0, run.text()
    found = balance(run)
    assert found["denoised"] == 120


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_dead_recorder_ends_the_run_loudly_and_what_it_committed_is_there(start):
    run = start("demo", changes=[*SMALL, "source.frames=1000", "source.rate_hz=10"])
    pids = run.addresses()["pids"]
    run.until("training mitochondria")
    os.kill(pids["recorder"], signal.SIGKILL)
    assert run.wait(60) != 0
    assert "recorder ended unexpectedly" in run.text()
    store = StoreReader(run.root)
    with LedgerReader(run.root / "ledger.db") as ledger:
        checksums = ledger.checksums()
    assert len(checksums) >= 12
    import zlib

    for key, checksum in checksums.items():
        assert zlib.crc32(store.read("raw", key).tobytes()) == checksum
    assert not any(psutil.pid_exists(pid) for pid in pids.values())


def test_existing_run_is_refused(start):
    changes = [*SMALL, "source.frames=2", "source.rate_hz=0"]
    (start("demo", changes=changes)).wait()
    again = start("demo", changes=changes)
    assert again.wait(30) == 2
    assert "exists already and is never overwritten" in again.text().replace("\n", " ")


def test_a_run_that_could_not_go_well_does_not_begin_and_says_why(start):
    run = start("demo", changes=[*SMALL, "source.frames=4", "publish.endpoint=tcp://0.0.0.0:5555"])
    assert run.wait(60) == 2
    assert "publish.endpoint" in run.text()
    assert "quietscope keys new" in run.text().replace("\n", " ")
    assert not run.root.exists()


def test_missing_folder_is_named(start, tmp_path):
    run = start("watch", str(tmp_path / "nowhere"), changes=[])
    assert run.wait(60) != 0
    assert "nowhere" in run.text()


def test_refused_model_leaves_the_channel_on_preview_and_counts_its_frames(start):
    changes = [*SMALL, "source.frames=16", "source.rate_hz=4", "gate.max_noise_std_ratio=0.0001"]
    run = start("demo", changes=changes)
    previews = []
    with Subscriber(
        run.addresses()["publish"], kinds=("preview", "denoised"), mode="every", timeout=60
    ) as viewer:
        previews = [frame.kind for frame in viewer]
    assert run.wait() == 0, run.text()
    found = balance(run)
    assert found["skipped"] == {"gate": 32}
    assert found["denoised"] == 0
    assert found["published"] == 0
    assert found["time_to_first_denoised_s"] is None
    assert set(previews) == {"preview"}
    assert "NOT accepted" in run.text()


def test_empty_frames_are_stored_and_skipped_with_a_reason(start, tmp_path):
    folder = tmp_path / "incoming"
    folder.mkdir()
    for t in range(8):
        tifffile.imwrite(folder / f"{t}.tif", np.full((64, 64), 100, "uint16"))
    run = start("watch", str(folder), "--idle", "3", changes=["training.frames=4"])
    assert run.wait() == 0, run.text()
    found = balance(run)
    assert found["frames_received"] == 8
    assert found["skipped"] == {"training": 8}
    assert "not used for training" in run.text().replace("\n", " ")


def test_late_viewer_gets_the_start_and_the_last_frame_at_once(start):
    run = start("demo", changes=[*SMALL, "source.frames=10000", "source.rate_hz=4"])
    address = run.addresses()["publish"]
    run.until("training mitochondria")
    time.sleep(1)
    run.process.send_signal(signal.SIGSTOP)  # only the engine: the daemon goes on without it
    began = time.monotonic()
    with Subscriber(address, kinds=("preview",), timeout=20) as viewer:
        frame = viewer.receive()
        seconds = time.monotonic() - began
        assert viewer.series is not None
    run.process.send_signal(signal.SIGCONT)
    assert frame.pixels.shape == (128, 128)
    assert seconds < 1.0
    run.process.send_signal(signal.SIGINT)
    assert run.wait() == 0, run.text()


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_killed_run_is_finished_by_resume(start, tmp_path):
    run = start("demo", changes=[*SMALL, "source.frames=1000", "source.rate_hz=10"])
    run.until("training mitochondria")
    run.kill()
    with LedgerReader(run.root / "ledger.db") as ledger:
        before = ledger.checksums()
    json_file = tmp_path / "resumed.json"
    command = [sys.executable, "-m", "quietscope.daemon", "resume", str(run.root), "--json", str(json_file)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(json_file.read_text())
    assert found["exit_reason"] == "resumed"
    with LedgerReader(run.root / "ledger.db") as ledger:
        after = ledger.checksums()
    # What was on disk in whole and not in the ledger yet is taken in as well.
    assert found["frames_received"] == found["raw_stored"] == found["denoised"] == len(after)
    assert before.items() <= after.items()
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert json.loads(json_file.read_text()) == found
    verified = [*command[:3], "verify", str(run.root)]
    sound = subprocess.run(verified, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert sound.returncode == 0, sound.stdout + sound.stderr


def test_running_run_is_not_resumed(start, tmp_path):
    run = start("demo", changes=[*SMALL, "source.frames=1000", "source.rate_hz=10"])
    run.addresses()
    command = [sys.executable, "-m", "quietscope.daemon", "resume"]
    busy = subprocess.run([*command, str(run.root)], capture_output=True, text=True, timeout=60, check=False)
    assert busy.returncode == 2
    assert "still going on" in busy.stderr
    none = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False)
    assert none.returncode == 2
    assert "no run folder" in none.stderr


def test_empty_folder_and_ctrl_c_end_cleanly(start, tmp_path):
    folder = tmp_path / "incoming"
    folder.mkdir()
    run = start("watch", str(folder), changes=[])
    run.addresses()
    run.until(f"waiting for images in {folder}")
    run.process.send_signal(signal.SIGINT)
    assert run.wait(60) == 0, run.text()
    assert balance(run)["frames_received"] == 0


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_nothing_goes_on_when_the_command_was_killed_while_it_trained(start):
    changes = [*SMALL, "source.frames=1000", "source.rate_hz=10", "training.max_steps=1000000"]
    run = start("demo", changes=[*changes, "training.budget_s=3600"])
    run.until("training mitochondria")
    run.process.kill()
    folder, deadline = RunFolder(run.root), time.monotonic() + 60
    while alive := folder.alive():
        assert time.monotonic() < deadline, alive
        time.sleep(0.1)
