"""A run with all its processes is paused, goes on, and is trained again, and no frame is lost."""

import sqlite3
import threading
import time

import numpy as np
import pytest
from typer.testing import CliRunner

from quietscope.adapters.control import ControlClient
from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ingest import IngestClient
from quietscope.adapters.keyring import make_keys
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.config import RunError, WireTimeoutError
from quietscope.config.loader import load_settings
from quietscope.daemon.cli import app
from quietscope.daemon.engine import Engine
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.training_job import TrainingJob

# training again stands behind everything else on the machine: where that is busy, it takes long
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE_S = 400.0

SHAPE = (96, 112)
FRAMES = 8
SMALL = (
    f"training.frames={FRAMES}",
    "training.budget_s=600",
    "training.min_steps=0",
    "training.threads=1",
    "adaptive_sn2n.base_channels=8",
    "adaptive_sn2n.levels=2",
    "adaptive_sn2n.batch=4",
    "gate.max_noise_std_ratio=0.5",
    "runtime.provider=cpu",
)


def picture(t: int, light: float = 40.0) -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    photons = light * (1 + np.sin((x + 2 * t) / 2.5) * np.cos(y / 3))
    rng = np.random.default_rng(t)
    return np.rint(100 + rng.poisson(photons) + rng.normal(0, 1.5, SHAPE)).astype("uint16")


class LiveRun:
    """A run whose frames this test delivers."""

    def __init__(self, folder, *changes: str) -> None:
        self.keys = folder / "keys"
        make_keys(self.keys)
        settings = load_settings(
            overrides=[
                f"out={folder}",
                "name=run",
                "source.kind=wire",
                f"security.keys={self.keys}",
                *changes,
            ]
        )
        self.events: list[dict] = []
        self.engine = Engine(settings, on_event=self.events.append)
        self.root = self.engine.run_folder.root
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        self.until(lambda event: event["event"] == "ready" and event["from"] == "processor")
        self.until_true(lambda: "publish" in self.engine.run_folder.addresses())
        self.addresses = self.engine.run_folder.addresses()
        self.control = ControlClient(self.addresses["control"], keys=self.keys)
        self.client = IngestClient(self.addresses["ingest"], sender="camera", keys=self.keys)
        series = {
            "height": SHAPE[0],
            "width": SHAPE[1],
            "dtype": "uint16",
            "channels": ["GFP"],
            "source": "a test",
        }
        self.client.send("series", series=series)
        self.sent = 0

    def _run(self) -> None:
        self.ending = self.engine.run()

    def deliver(self, count: int, light: float = 40.0) -> None:
        for _ in range(count):
            self.client.send_frame(FrameKey(self.sent), picture(self.sent, light))
            self.sent += 1
        assert self.client.flush(30.0)

    def until(self, wanted, after: int = 0, timeout_s: float = PATIENCE_S) -> dict:
        """The first event that is wanted, of those from number `after` on."""
        found: list[dict] = []

        def look() -> bool:
            found.extend(event for event in self.events[after:] if wanted(event))
            return bool(found)

        self.until_true(look, timeout_s)
        return found[0]

    def until_true(self, true, timeout_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not true():
            assert self.thread.is_alive(), self.words()
            assert time.monotonic() < deadline, self.words()
            time.sleep(0.05)

    def until_denoised(self) -> None:
        with LedgerReader(self.root / "ledger.db") as ledger:
            self.until_true(lambda: ledger.counts() == {"raw": 0, "denoised": self.sent, "skipped": 0})

    def words(self) -> str:
        return "\n".join(str(event.get("text", event["event"])) for event in self.events)

    def end(self) -> None:
        if not self.thread.is_alive():
            return
        self.client.send("end")
        self.client.flush(10.0)
        self.client.close()
        self.thread.join(60)
        if self.thread.is_alive():
            self.engine.stop()
            self.engine.stop()
            self.thread.join()


@pytest.fixture
def live(tmp_path):
    """A run with a model that has learned for 80 steps; what is trained again learns for 200."""
    settings = load_settings(overrides=[*SMALL, "training.max_steps=80"])
    models = tmp_path / "models"
    models.mkdir()
    job = TrainingJob(models, settings, lambda *_, **__: None, 0, "GFP")
    job.train([picture(t) for t in range(100, 100 + FRAMES)], [FrameKey(t) for t in range(FRAMES)])
    run = LiveRun(tmp_path, *SMALL, "training.max_steps=200", f"training.model={models}")
    yield run
    run.end()


def command(run: LiveRun, *arguments: str):
    return CliRunner().invoke(app, ["control", str(run.root), *arguments])


def test_a_run_is_paused_and_trained_again_by_command(live, tmp_path, monkeypatch):
    early = command(live, "retrain")
    assert early.exit_code == 1
    assert "no frame has come yet" in early.output
    live.deliver(16)
    first = live.until(lambda event: event["event"] == "model_live")["model_id"]
    live.until_denoised()

    paused = command(live, "pause")
    assert (paused.exit_code, paused.output) == (
        0,
        "denoising pauses; raw frames are recorded all the same\n",
    )
    live.until(lambda event: event["event"] == "denoising" and event["paused"])
    live.deliver(6)
    time.sleep(0.5)
    with LedgerReader(live.root / "ledger.db") as ledger:
        assert ledger.counts() == {"raw": 6, "denoised": 16, "skipped": 0}
    assert live.control.ask("status").status["paused"] is True
    assert "is paused already" in command(live, "pause").output
    assert command(live, "continue").exit_code == 0
    live.until_denoised()

    make_keys(tmp_path / "others")
    (tmp_path / "others" / "server.key").write_bytes((live.keys / "server.key").read_bytes())
    with pytest.raises(WireTimeoutError):
        ControlClient(live.addresses["control"], keys=tmp_path / "others", timeout=0.5).ask("pause")
    assert live.control.ask("status").status["refused"] >= 1

    monkeypatch.setenv("QUIETSCOPE_FAULTS", "retrainer.train=exit@1x1")
    assert "a new model is trained" in command(live, "retrain").output
    live.until(lambda event: event["event"] == "exit" and event["from"] == "retrainer" and event["status"])
    monkeypatch.delenv("QUIETSCOPE_FAULTS")
    live.deliver(2)
    live.until_denoised()
    status = live.control.ask("status").status
    assert status["channels"] == [
        {"index": 0, "name": "GFP", "model": first, "last_verdict": "accepted"},
    ]
    assert status["retraining"] is None

    mark = len(live.events)
    assert command(live, "retrain", "--channel", "GFP").exit_code == 0
    assert "being trained again already" in command(live, "retrain").output
    verdict = live.until(lambda event: event["event"] == "verdict", mark)
    assert verdict["accepted"], verdict["reason"]
    assert verdict["figures"]["pair_error_model"] < verdict["figures"]["pair_error_in_use"]
    second = live.until(lambda event: event["event"] == "model_live", mark)["model_id"]
    live.deliver(3)
    live.until_denoised()

    live.until(lambda event: event["event"] == "exit" and event["from"] == "retrainer", mark)
    mark = len(live.events)
    assert command(live, "retrain", "--method", "fm2s").exit_code == 0
    refused = live.until(lambda event: event["event"] == "verdict", mark)
    assert refused["figures"]["method"] == "fm2s"
    assert not refused["accepted"]
    assert "the model in use does better on frames that are new to both" in refused["reason"]
    live.deliver(3)
    live.until_denoised()

    signs = [event for event in live.events if (event["event"], event.get("from")) == ("status", "trainer")]
    assert signs, "a trainer that has nothing to do says that it lives, or it is ended as dead after minutes"

    assert not [event for event in live.events if event["event"] == "drift"]
    for _ in range(6):
        # one at a time: only the newest frames tell that the specimen has changed
        live.deliver(1, light=10.0)
        live.until_denoised()
    live.until(lambda event: event["event"] == "drift")
    live.end()

    assert (live.ending.faults, live.sent) == ([], 36)
    with LedgerReader(live.root / "ledger.db") as ledger:
        assert ledger.counts() == {"raw": 0, "denoised": 36, "skipped": 0}
        said = "\n".join(event.text for event in ledger.events())
    with sqlite3.connect(live.root / "ledger.db") as db:
        models = dict(db.execute("SELECT t, model_id FROM frame"))
    db.close()
    assert len(models) == 36
    assert first != second
    assert [models[t] for t in (0, 16, 23, 24, 26, 27, 29)] == [
        first,
        first,
        first,
        second,
        second,
        second,
        second,
    ]
    for words in (
        "denoising is paused",
        "denoising goes on",
        "training GFP again has failed",
        "GFP: new model accepted",
        "GFP: model NOT accepted, its old model goes on",
        "GFP is no longer what its model was trained on",
        "retrain --channel 0",
    ):
        assert words in said, said
    for t in (0, 20, 29):
        np.testing.assert_array_equal(StoreReader(live.root).read("raw", FrameKey(t)), picture(t))
    with pytest.raises(RunError, match="is not going on"):
        CliRunner().invoke(app, ["control", str(live.root), "status"], catch_exceptions=False)
