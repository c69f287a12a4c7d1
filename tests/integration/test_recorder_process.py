"""The recorder as a real process, fed over the real ingest wire."""

import os
import queue
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ingest import IngestClient
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.config import Settings
from quietscope.config.loader import load_settings, settings_to_toml
from quietscope.daemon.child import Child
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.runfolder import RunFolder

SERIES = {
    "height": 64,
    "width": 48,
    "dtype": "uint16",
    "channels": ["GFP"],
    "source": "a test",
    "pixel_size_um": 0.1,
    "planned": {},
}


def pixels(t: int, shape=(64, 48)) -> np.ndarray:
    return np.random.default_rng(t).integers(0, 4000, shape).astype("uint16")


class Recorder:
    """A recorder process and what it says."""

    def __init__(self, tmp_path: Path, *changes: str) -> None:
        settings: Settings = load_settings(
            overrides=[f"out={tmp_path}", "name=run", "source.kind=wire", *changes]
        )
        self.run = RunFolder.create(settings.out, settings.name)
        self.run.settings.write_text(settings_to_toml(settings), encoding="utf-8")
        self.events: queue.SimpleQueue[dict] = queue.SimpleQueue()
        self.child = Child(
            "recorder", ["recorder", str(self.run.root)], self.events, self.run.child_errors("recorder")
        )
        self.endpoint = self.wait("ready")["endpoint"]

    def wait(self, event: str, timeout_s: float = 30.0) -> dict:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                found = self.events.get(timeout=0.2)
            except queue.Empty:
                continue
            if found["event"] == event:
                return found
        errors = self.run.child_errors("recorder").read_text()
        pytest.fail(f"the recorder did not say {event!r} within {timeout_s} s: {errors}")

    def finish(self) -> int:
        self.child.tell("stop")
        self.wait("intake_ended")
        self.child.tell("finish")
        self.wait("finished")
        return self.child.end(10)


@pytest.fixture
def recorder(tmp_path):
    made = []

    def make(*changes: str) -> Recorder:
        made.append(Recorder(tmp_path, *changes))
        return made[-1]

    yield make
    for one in made:
        one.child.end(0)


def collect(client: IngestClient, count: int, timeout_s: float = 30.0) -> dict[int, str]:
    answers: dict[int, str] = {}
    deadline = time.monotonic() + timeout_s
    while len(answers) < count and time.monotonic() < deadline:
        answers.update({ack.number: ack.status for ack in client.poll(timeout_s=0.2)})
    return answers


def test_acknowledged_means_on_disk_and_in_the_ledger(recorder):
    one = recorder()
    with IngestClient(one.endpoint, sender="test") as client:
        client.send("series", series=SERIES)
        numbers = [client.send_frame(FrameKey(t), pixels(t)) for t in range(20)]
        answers = collect(client, 21)
        assert {answers[n] for n in numbers} == {"stored"}
        os.kill(one.child.pid, signal.SIGKILL)
    store = StoreReader(one.run.root)
    with LedgerReader(one.run.ledger) as ledger:
        checksums = ledger.checksums()
    assert set(checksums) == {FrameKey(t) for t in range(20)}
    for key, checksum in checksums.items():
        kept = store.read("raw", key)
        np.testing.assert_array_equal(kept, pixels(key.t))
        assert zlib.crc32(kept.tobytes()) == checksum


def test_answers_that_come_while_a_sender_waits_for_room_are_kept_for_it(recorder):
    one = recorder()
    with IngestClient(one.endpoint, sender="test", budget=1) as client:
        client.send("series", series=SERIES)
        numbers = [client.send_frame(FrameKey(t), pixels(t)) for t in range(5)]
        answers = collect(client, 6)
    assert {answers[n] for n in numbers} == {"stored"}


def test_kill_in_mid_stream_leaves_every_acknowledged_frame(recorder):
    one = recorder()
    with IngestClient(one.endpoint, sender="test") as client:
        client.send("series", series=SERIES)
        sent = {client.send_frame(FrameKey(t), pixels(t)): t for t in range(400)}
        stored = set()
        while len(stored) < 50:
            stored |= {sent[ack.number] for ack in client.poll(timeout_s=0.5) if ack.number in sent}
        os.kill(one.child.pid, signal.SIGKILL)
        one.child.wait(10)
        stored |= {sent[ack.number] for ack in client.poll(timeout_s=0.2) if ack.number in sent}
    store = StoreReader(one.run.root)
    with LedgerReader(one.run.ledger) as ledger:
        kept = {key.t for key in ledger.checksums()}
    assert stored <= kept
    for t in kept:
        np.testing.assert_array_equal(store.read("raw", FrameKey(t)), pixels(t))


def test_bad_frames_are_named_and_good_ones_kept(recorder):
    one = recorder()
    with IngestClient(one.endpoint, sender="test") as client:
        early = client.send_frame(FrameKey(0), pixels(0))
        client.send("series", series=SERIES)
        good = client.send_frame(FrameKey(0), pixels(0))
        shape = client.send_frame(FrameKey(1), pixels(1, (32, 48)))
        dtype = client.send_frame(FrameKey(1), pixels(1).astype("float32"))
        twice = client.send_frame(FrameKey(0), pixels(5))
        negative = client.send_frame(FrameKey(-1), pixels(1))
        new_channel = client.send_frame(FrameKey(0, 2), pixels(7))
        strange = client.send("dance")
        answers = collect(client, 9)
        status = {name: answers[n] for name, n in locals().items() if isinstance(n, int)}
    assert status == {
        "early": "rejected",
        "good": "stored",
        "shape": "rejected",
        "dtype": "rejected",
        "twice": "rejected",
        "negative": "rejected",
        "new_channel": "stored",
        "strange": "rejected",
    }
    assert one.finish() == 0
    with LedgerReader(one.run.ledger) as ledger:
        assert ledger.rejected() == {"no-series": 1, "shape": 1, "dtype": 1, "duplicate": 1, "key": 1}
        series = ledger.series()
        assert series is not None
        assert series.channels == ("GFP", "channel 1", "channel 2")
    np.testing.assert_array_equal(StoreReader(one.run.root).read("raw", FrameKey(0)), pixels(0))
    np.testing.assert_array_equal(StoreReader(one.run.root).read("raw", FrameKey(0, 2)), pixels(7))


def test_a_repeated_message_is_answered_and_not_counted_twice(recorder):
    one = recorder()
    with IngestClient(one.endpoint, sender="test", resend_s=0.0) as client:
        client.send("series", series=SERIES)
        numbers = [client.send_frame(FrameKey(t), pixels(t)) for t in range(10)]
        answers = collect(client, 11)
        assert {answers[n] for n in numbers} == {"stored"}
    assert one.finish() == 0
    with LedgerReader(one.run.ledger) as ledger:
        assert ledger.counts()["raw"] == 10
        assert ledger.rejected() == {}


def test_what_memory_cannot_hold_is_spooled_and_kept(recorder):
    one = recorder("recorder.ring_mb=0.02", "recorder.writers=1")
    with IngestClient(one.endpoint, sender="test") as client:
        client.send("series", series=SERIES)
        for t in range(200):
            client.send_frame(FrameKey(t), pixels(t))
        assert set(collect(client, 201).values()) == {"stored"}
    one.child.tell("stop")
    ended = one.wait("intake_ended")
    assert ended["spooled"] > 0
    assert ended["peak_ring_mb"] <= 0.02
    one.child.tell("finish")
    assert one.child.end(20) == 0
    store = StoreReader(one.run.root)
    for t in range(200):
        np.testing.assert_array_equal(store.read("raw", FrameKey(t)), pixels(t))


def test_foreign_bytes_on_the_port_are_counted_and_harmless(recorder):
    import zmq

    one = recorder()
    context = zmq.Context()
    stranger = context.socket(zmq.DEALER)
    stranger.setsockopt(zmq.LINGER, 500)
    stranger.connect(one.endpoint)
    for message in (
        [b"hello"],
        [b"quietscope-ingest/1", b"{}"],
        [b"quietscope-ingest/1", b'{"type":"frame"}', b"x"],
    ):
        stranger.send_multipart(message)
    for _ in range(3):
        assert one.wait("rejected")["reason"] == "wire"
    stranger.close()
    context.term()
    with IngestClient(one.endpoint, sender="test") as client:
        client.send("series", series=SERIES)
        client.send_frame(FrameKey(0), pixels(0))
        assert set(collect(client, 2).values()) == {"stored"}
    assert one.finish() == 0


def test_orphaned_recorder_finishes_and_exits(recorder):
    one = recorder()
    with IngestClient(one.endpoint, sender="test") as client:
        client.send("series", series=SERIES)
        client.send_frame(FrameKey(0), pixels(0))
        assert set(collect(client, 2).values()) == {"stored"}
    one.child.release()
    assert one.child.wait(20) == 0


def test_the_sender_of_the_documentation_works(recorder, tmp_path):
    text = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    example = text.split("### A sender in a few lines")[1].split("```python\n")[1].split("```")[0]
    script = tmp_path / "sender.py"
    script.write_text(example, encoding="utf-8")
    one = recorder()
    done = subprocess.run(
        [sys.executable, str(script), one.endpoint], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == sorted([*"0123456", *["stored"] * 7])
    one.child.tell("stop")
    assert one.wait("intake_ended")["received"] == 5
    one.child.tell("finish")
    assert one.child.end(10) == 0
    for t in range(5):
        np.testing.assert_array_equal(
            StoreReader(one.run.root).read("raw", FrameKey(t)), np.full((64, 64), 100 + t)
        )


def test_what_waits_for_memory_does_not_keep_others_waiting(recorder, monkeypatch):
    monkeypatch.setenv("QUIETSCOPE_FAULTS", "store.write=slow:0.4")
    one = recorder("recorder.ring_mb=0.01", "recorder.writers=1")
    order = []
    with IngestClient(one.endpoint, sender="test") as client:
        client.send("series", series=SERIES)
        client.send_frame(FrameKey(0), pixels(0))
        made = [
            client.send_frame(FrameKey(t), pixels(t), kind="denoised", model_id="m", live=False)
            for t in range(5)
        ]
        raw = client.send_frame(FrameKey(1), pixels(1))
        word = client.send("event", level="info", text="a word in between")
        while len(order) < 9:
            order += [(ack.number, ack.status) for ack in client.poll(timeout_s=30)]
    assert {status for _, status in order} == {"stored"}
    numbers = [number for number, _ in order]
    assert numbers.index(word) < numbers.index(made[2])
    assert {*made, raw, word} < set(numbers)
    assert one.finish() == 0


def test_a_trainer_that_waits_for_frames_says_that_it_lives(recorder):
    # The engine ends a process that has said nothing for five minutes; frames may be an hour apart.
    one = recorder()
    trainer = Child(
        "trainer",
        ["trainer", str(one.run.root), "--ingest", one.endpoint],
        one.events,
        one.run.child_errors("trainer"),
    )
    try:
        for _ in range(2):
            while one.wait("status", 120.0)["from"] != "trainer":
                pass
    finally:
        trainer.end(0)
