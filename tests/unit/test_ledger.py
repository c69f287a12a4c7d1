import contextlib
import os
import sqlite3
import subprocess
import sys

import pytest

from quietscope.adapters.frame import FrameKey
from quietscope.config import LedgerError
from quietscope.daemon.ledger import (
    DenoisedRow,
    EventRow,
    LedgerWriter,
    LostDenoisedRow,
    MetaRow,
    ModelRow,
    RawRow,
    RejectedRow,
    SkippedRow,
    TrustRow,
)
from quietscope.daemon.ledger_reader import LedgerReader


def raw(t: int, c: int = 0) -> RawRow:
    return RawRow(FrameKey(t, c), 10 * t, 10 * t + 5, 77 + t, None, {})


@pytest.fixture
def ledger(tmp_path):
    writer = LedgerWriter(tmp_path / "ledger.db")
    reader = LedgerReader(tmp_path / "ledger.db")
    yield writer, reader
    writer.close()
    reader.close()


def test_states_of_frames_and_their_counts(ledger):
    writer, reader = ledger
    writer.commit([raw(t, c) for t in range(4) for c in range(2)])
    writer.commit(
        [
            DenoisedRow(FrameKey(0), 6, 1, "m", 8, live=True),
            DenoisedRow(FrameKey(1), 16, 1, "m", None, live=False),
            SkippedRow(FrameKey(2), "gate"),
        ]
    )
    assert reader.counts() == {"raw": 5, "denoised": 2, "skipped": 1}
    assert reader.skipped() == {"gate": 1}
    assert [f.key for f in reader.pending((0,))] == [FrameKey(3)]
    assert [f.key.t for f in reader.pending((0, 1))] == [0, 1, 2, 3, 3]
    assert reader.pending_count() == 5
    assert reader.publications() == (1, 8)
    assert reader.live_latencies_ms() == [pytest.approx(8e-6)]
    assert reader.arrivals() == (8, 0, 30)
    assert reader.channels() == (0, 1)
    assert reader.denoised_keys(0) == [FrameKey(0), FrameKey(1)]


def test_repeats_change_nothing(ledger):
    writer, reader = ledger
    writer.commit([raw(0)])
    writer.commit([DenoisedRow(FrameKey(0), 6, 1, "m", None, live=False)])
    writer.commit([raw(0), SkippedRow(FrameKey(0), "gate")])
    assert reader.counts() == {"raw": 0, "denoised": 1, "skipped": 0}


def test_accepted_model_is_not_displaced_by_a_later_rejection(ledger):
    writer, reader = ledger
    writer.commit(
        [ModelRow("a", 0, accepted=True, path="models/a.onnx", reason="good", figures={"slope": 1.0})]
    )
    writer.commit([ModelRow("b", 0, accepted=False, path="models/b.onnx", reason="bad", figures={})])
    writer.commit([ModelRow("c", 1, accepted=False, path=None, reason="nothing to train on", figures={})])
    verdicts = reader.verdicts()
    assert verdicts[0].model_id == "a"
    assert verdicts[0].figures == {"slope": 1.0}
    assert not verdicts[1].accepted


def test_meta_and_rejections(ledger):
    writer, reader = ledger
    writer.commit([MetaRow("received", 3), RejectedRow("x.tif", "truncated", "…"), EventRow("info", "hello")])
    assert reader.meta("received") == 3
    assert reader.meta("nothing") is None
    assert reader.rejected() == {"truncated": 1}


def test_failed_commit_leaves_nothing_behind(ledger, tmp_path):
    writer, reader = ledger
    writer.commit([raw(0)])
    with pytest.raises(LedgerError, match="ledger"):
        writer.commit([raw(1), RawRow(FrameKey(2), None, 0, 0, None, {})])  # type: ignore[arg-type]
    assert reader.counts()["raw"] == 1
    writer.commit([raw(1)])
    assert reader.counts()["raw"] == 2


def test_a_file_that_is_no_ledger_is_named(tmp_path):
    path = tmp_path / "ledger.db"
    path.write_bytes(b"something else" * 100)
    with pytest.raises(LedgerError, match=r"ledger\.db"):
        LedgerWriter(path)
    with pytest.raises(LedgerError, match="run folder"):
        LedgerReader(tmp_path / "missing.db")


def test_journal_is_one_that_network_shares_can_do(ledger, tmp_path):
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    db.close()


KILLED_WRITER = """
import os, signal, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size=1")
db.execute("BEGIN IMMEDIATE")
for n in range(5000):
    db.execute("INSERT INTO event VALUES (NULL, ?, 'info', ?)", (n, "x" * 100))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_ledger_of_a_writer_killed_in_mid_transaction_is_readable(tmp_path):
    path = tmp_path / "ledger.db"
    writer = LedgerWriter(path)
    writer.commit([raw(t) for t in range(5)])
    writer.close()
    subprocess.run([sys.executable, "-c", KILLED_WRITER, str(path)], check=False, timeout=60)
    assert (tmp_path / "ledger.db-journal").exists(), "nothing to roll back: this proves nothing"
    with LedgerReader(path) as reader:
        assert reader.counts()["raw"] == 5
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM event").fetchone() == (0,)
    db.close()


@pytest.mark.parametrize(
    "entry",
    [
        RawRow(FrameKey(1), 2**70, 1, 1, None, {}),
        RawRow(FrameKey(1), 1, 1, 1, None, {"taken": object()}),
        RejectedRow("half a character \ud800", "truncated", ""),
    ],
)
def test_an_entry_that_the_file_cannot_hold_is_an_error_and_the_next_one_is_written(ledger, entry):
    writer, reader = ledger
    with pytest.raises(LedgerError, match="cannot write the ledger"):
        writer.commit([raw(0), entry])
    assert reader.checksums() == {}
    writer.commit([raw(0)])
    assert list(reader.checksums()) == [FrameKey(0)]


def test_lights_of_denoised_frames_are_counted(ledger):
    writer, reader = ledger
    writer.commit([raw(t) for t in range(4)])
    writer.commit(
        [
            TrustRow(FrameKey(t), light, "words", {"spread": 1.0})
            for t, light in enumerate(["green", "red", "green"])
        ]
    )
    assert reader.lights() == {}
    writer.commit([DenoisedRow(FrameKey(t), 6, 1, "m", None, live=False) for t in range(4)])
    assert reader.lights() == {"green": 2, "red": 1}
    writer.commit([LostDenoisedRow(FrameKey(1))])
    assert reader.lights() == {"green": 2}


def test_a_ledger_of_a_version_without_trust_is_read_and_brought_up_to_date(tmp_path):
    path = tmp_path / "ledger.db"
    writer = LedgerWriter(path)
    writer.commit([raw(0)])
    writer.close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        for column in ("trust_light", "trust_reason", "trust_figures"):
            db.execute(f"ALTER TABLE frame DROP COLUMN {column}")
    with LedgerReader(path) as reader:
        assert reader.lights() == {}
    writer = LedgerWriter(path)
    writer.commit(
        [DenoisedRow(FrameKey(0), 6, 1, "m", 8, live=True), TrustRow(FrameKey(0), "yellow", "", {})]
    )
    writer.close()
    with LedgerReader(path) as reader:
        assert reader.lights() == {"yellow": 1}
