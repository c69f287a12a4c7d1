"""The degrade ladder in real runs: the machine is really slowed, viewers get less, the store gets everything."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ingest import IngestClient
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.adapters.subscriber import Subscriber
from quietscope.config.errors import WireTimeoutError
from quietscope.config.loader import load_settings
from quietscope.config.science import RuntimeSettings, TilingSettings
from quietscope.daemon.engine import Engine
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.summary import summarise
from quietscope.models.denoiser import Denoiser

pytestmark = pytest.mark.slow

SHAPE = (64, 640)
FIRST = 4
FRAMES = 100


def image(t: int) -> np.ndarray:
    """A ramp, which a mean filter keeps as it is, under noise."""
    noise = np.random.default_rng(t).normal(0, 30, SHAPE)
    return np.rint(200 + 0.5 * np.arange(SHAPE[1]) + noise).astype("uint16")


class Recording:
    """A run in the charge of this process, and the camera that feeds it over the ingest wire."""

    def __init__(self, out: Path, model: Path, *changes: str) -> None:
        settings = load_settings(
            overrides=[
                f"out={out}",
                "name=run",
                "source.kind=wire",
                f"training.model={model}",
                f"training.frames={FIRST}",
                "runtime.provider=cpu",
                "runtime.threads=1",
                "trust.enabled=false",
                *changes,
            ]
        )
        self.events: list[dict] = []
        self._came = threading.Condition()
        self.engine = Engine(settings, on_event=self._take)
        self.root = self.engine.run_folder.root
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.ending = self.engine.run()
        finally:
            self._take({"event": "over", "from": "test"})

    def _take(self, event: dict) -> None:
        with self._came:
            self.events.append(event)
            self._came.notify_all()

    def told(self, name: str) -> list[dict]:
        return [event for event in self.events if event["event"] == name]

    def wait_for(self, name: str, sender: str) -> dict:
        """The first event of a name from a process of the run."""

        def found() -> list[dict]:
            return [e for e in self.told(name) if e["from"] == sender]

        with self._came:
            assert self._came.wait_for(lambda: found() or self.told("over"), 60)
            assert found(), self.events[-20:]
            return found()[0]

    def record(self, rate_hz: float) -> None:
        """Send all frames: the first ones for the gate, the others as fast as the camera makes them."""
        facts = {"height": 64, "width": 640, "dtype": "uint16", "channels": ["GFP"], "source": "test"}
        with IngestClient(self.wait_for("ready", "recorder")["endpoint"], sender="camera") as client:
            client.send("series", series=facts)
            for t in range(FRAMES):
                if t == FIRST:
                    self.wait_for("model_live", "processor")
                client.send_frame(FrameKey(t), image(t))
                time.sleep(1 / rate_hz)
            client.send("end")
            assert client.flush(60)
        self._thread.join(120)

    def close(self) -> None:
        while self._thread.is_alive():
            self.engine.stop()
            self._thread.join(0.5)


@contextmanager
def recording(*arguments) -> Iterator[Recording]:
    one = Recording(*arguments)
    try:
        yield one
    finally:
        one.close()


@contextmanager
def watching(one: Recording) -> Iterator[set[tuple[str, str]]]:
    """Kinds and qualities of the frames that a viewer gets."""
    seen: set[tuple[str, str]] = set()
    stop = threading.Event()

    def watch() -> None:
        endpoint = one.wait_for("ready", "processor")["endpoint"]
        with Subscriber(endpoint, timeout=0.2, until_end=False) as frames:
            while not stop.is_set():
                try:
                    frame = frames.receive()
                except WireTimeoutError:
                    continue
                if frame is not None:
                    seen.add((frame.kind, frame.header.quality))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def model(tmp_path, write_filter_model):
    """A mean filter of which nobody knows how far it looks: it is tiled."""
    path = tmp_path / "c0.onnx"
    write_filter_model(path, np.full((9, 9), 1 / 81))
    return path


def figures(one: Recording, model: Path) -> dict:
    """Summary of a run in which every frame is there as it came, and as a run at full quality denoises it."""
    store = StoreReader(one.root)
    full = Denoiser(model, TilingSettings(), RuntimeSettings(provider="cpu", threads=1))
    for t in range(FRAMES):
        raw = store.read("raw", FrameKey(t))
        np.testing.assert_array_equal(raw, image(t))
        np.testing.assert_array_equal(
            store.read("denoised", FrameKey(t)), full.cast(full.denoise(raw), "uint16")
        )
    with LedgerReader(one.engine.run_folder.ledger) as ledger:
        assert ledger.counts() == {"raw": 0, "denoised": FRAMES, "skipped": 0}
        words = [event.text for event in ledger.events()]
    steps = one.told("quality")
    assert words == [step["text"] for step in steps]
    assert "the machine is behind" in words[0]
    assert steps[-1]["quality"] == "full"
    summary = summarise(one.engine.run_folder, one.ending, None)
    assert summary.faults == ()
    return dict(summary.figures)


def test_a_slow_denoiser_shows_less_and_stores_everything(tmp_path, model, monkeypatch):
    monkeypatch.setenv("QUIETSCOPE_FAULTS", "runtime.run=slow:0.4@60x40")
    limits = ("degrade.late_s=0.35", "degrade.patience_s=0.5", "degrade.retry_s=0.5")
    with recording(tmp_path, model, *limits) as one, watching(one) as seen:
        one.record(10)
    shown = figures(one, model)["shown_below_full"]
    assert shown["larger-tiles"] > 0
    assert shown["preview"] > 0
    first, second, *_ = one.told("quality")
    assert (first["quality"], second["quality"]) == ("larger-tiles", "preview")
    assert "tiles with less overlap would save nothing with this model" in first["text"]
    assert seen >= {("denoised", "full"), ("denoised", "larger-tiles"), ("preview", "preview")}


def test_a_slow_disk_shows_less_and_stores_everything(tmp_path, model, monkeypatch):
    monkeypatch.setenv("QUIETSCOPE_FAULTS", "store.write=slow:0.06")
    limits = ("degrade.late_s=0.6", "degrade.patience_s=0.6", "degrade.retry_s=2")
    with recording(tmp_path, model, "recorder.ring_mb=4", "processor.inflight_mb=2", *limits) as one:
        one.record(25)
    assert sum(figures(one, model)["shown_below_full"].values()) > 0
    assert one.wait_for("intake_ended", "recorder")["peak_ring_mb"] <= 4
