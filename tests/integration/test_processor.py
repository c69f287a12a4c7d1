"""The processor beside a real recorder, while this process is camera and trainer: what happens while it computes."""

import queue
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from quietscope.adapters.endpoints import local_endpoint
from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ingest import IngestClient
from quietscope.config.loader import load_settings, settings_to_toml
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.processes import Processes
from quietscope.daemon.runfolder import RunFolder

pytestmark = pytest.mark.slow

FACTS = {"height": 32, "width": 48, "dtype": "uint16", "channels": ["GFP"], "source": "test"}


class Machine:
    """Recorder and processor of one run."""

    def __init__(self, out: Path, *changes: str) -> None:
        fixed = [f"out={out}", "name=run", "source.kind=wire", "runtime.provider=cpu", "runtime.threads=1"]
        settings = load_settings(overrides=[*fixed, "trust.enabled=false", *changes])
        self.run = RunFolder.create(settings.out, settings.name)
        self.run.settings.write_text(settings_to_toml(settings), encoding="utf-8")
        self._events: queue.SimpleQueue[dict] = queue.SimpleQueue()
        self.processes = Processes(self.run, self._events, resume=False, follow=False)
        self.processes.start("recorder")
        ready = self.wait_for("ready", "recorder")
        self.processes.addresses |= {
            n: local_endpoint(ready[e]) for n, e in (("ingest", "endpoint"), ("news", "news"))
        }
        self.processes.start("processor")
        self.client = IngestClient(self.processes.addresses["ingest"], sender="test")
        self.wait_for("ready", "processor")
        self.client.send("series", series=FACTS)

    def wait_for(self, name: str, sender: str) -> dict:
        """The next event of a name from a process; none of the others may end before."""
        until = time.monotonic() + 60
        while True:
            event = self._events.get(timeout=until - time.monotonic())
            if (event["event"], event["from"]) == (name, sender):
                return event
            assert event["event"] != "exit", self.run.last_words(event["from"])

    def send(self, *times: int) -> None:
        for t in times:
            self.client.send_frame(FrameKey(t), np.full((32, 48), t, np.uint16))
        assert self.client.flush(30)

    def judge(
        self, model_id: str, *, accepted: bool, path: str | None = "models/c0.onnx", **figures: object
    ) -> None:
        """What the trainer says about the channel's model."""
        fields = {"model_id": model_id, "channel": 0, "accepted": accepted, "path": path, "reason": "test"}
        self.client.send("model", **fields, figures={"channel_name": "GFP", **figures})
        assert self.client.flush(30)

    def shown_live(self) -> list[int]:
        """Time points of the frames that were denoised as they came, in the order in which they were shown."""
        with LedgerReader(self.run.ledger) as ledger:
            times = {frame.id: frame.key.t for frame in ledger.all_frames()}
            shown = sorted(ledger.live_publications(), key=lambda found: found[2])
        return [times[identity] for identity, _, _ in shown]

    def finish(self) -> None:
        """Bring the run to its end, as the engine does."""
        self.processes.tell("recorder", "stop", reason="test")
        self.wait_for("intake_ended", "recorder")
        self.processes.tell("processor", "drain", untrainable="training")
        self.wait_for("finished", "processor")
        self.processes.tell("recorder", "finish")


@contextmanager
def machine(*arguments: object) -> Iterator[Machine]:
    one = Machine(*arguments)
    try:
        with closing(one.client):
            yield one
    finally:
        one.processes.end_all()


@pytest.fixture
def slow(tmp_path, write_filter_model, monkeypatch):
    """A machine whose network takes a second."""
    monkeypatch.setenv("QUIETSCOPE_FAULTS", "runtime.run=slow:1.0@2x1000")  # the first run is the warm-up
    with machine(tmp_path) as one:
        write_filter_model(one.run.models / "c0.onnx", receptive_field=8)
        yield one


def test_a_model_that_is_withdrawn_while_its_frame_is_computed_costs_nothing(slow):
    slow.judge("m", accepted=True, earlier={"words": "monday"})
    slow.wait_for("model_live", "processor")
    slow.send(0, 1)
    time.sleep(0.3)  # the network is at work, and another frame waits
    slow.judge("own", accepted=False, withdrawn="m")
    slow.finish()
    with LedgerReader(slow.run.ledger) as ledger:
        counts = ledger.counts()
    assert counts["raw"] == 0
    assert counts["denoised"] > 0


def test_the_next_frame_is_chosen_when_a_slow_network_is_free_for_it(slow):
    slow.judge("m", accepted=True)
    slow.wait_for("model_live", "processor")
    slow.send(0)
    while slow.wait_for("status", "processor")["denoised"] < 1:
        pass
    slow.send(1, 2)
    time.sleep(0.4)  # one of them is being computed
    slow.send(3)
    slow.finish()
    shown = slow.shown_live()
    assert (shown[0], shown[-1]) == (0, 3)
    assert len(shown) == 3, "what still waited when a newer one came is filled in"
    with LedgerReader(slow.run.ledger) as ledger:
        assert ledger.counts() == {"raw": 0, "denoised": 4, "skipped": 0}


def test_a_frame_that_waited_while_nobody_listened_has_waited(slow):
    slow.judge("m", accepted=True)
    slow.wait_for("model_live", "processor")
    slow.send(0)
    time.sleep(0.3)  # frame 0 is being computed
    slow.send(1)
    time.sleep(0.3)
    slow.send(2)
    slow.finish()
    assert slow.shown_live() == [0, 2]
