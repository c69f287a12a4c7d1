"""Ring, ledger and store against a model that is a dictionary, under faults, restarts and lost rows; and the fuzzers.

``QUIETSCOPE_FUZZ=100`` makes all of it a hundred times as long.
"""

import os
import shutil
import sqlite3
import tempfile
import threading
from pathlib import Path

import fuzz
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from quietscope.adapters.frame import Frame, FrameKey, Series
from quietscope.adapters.ome_zarr import StoreReader, StoreWriter
from quietscope.config.faultpoints import armed
from quietscope.config.loader import load_settings, settings_to_toml
from quietscope.config.system import RecorderSettings, StopSettings, StoreSettings
from quietscope.daemon.committer import Committer
from quietscope.daemon.intake import Intake
from quietscope.daemon.ledger import SkippedRow
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.leftovers import Leftovers
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.spool import Spool
from quietscope.daemon.vault import Deposit, Provenance, Vault
from quietscope.daemon.verification import verify

TIMES = int(os.environ.get("QUIETSCOPE_FUZZ", "1"))
SHAPE = (8, 12)
SERIES = Series(*SHAPE, "uint16", ("a", "b"), "a model")
KEYS = st.builds(FrameKey, st.integers(0, 5), st.integers(0, 1), st.integers(0, 1), st.integers(0, 1))
FAULTS = st.sampled_from(
    ["store.write=EIO@1x1", "store.sync=ENOSPC@1x1", "ledger.commit=EIO@1x1", "store.write=slow:0.01@1x3"]
)


def pixels(key: FrameKey, salt: int = 0) -> np.ndarray:
    return np.random.default_rng([*key, salt]).integers(0, 4000, SHAPE).astype("uint16")


class Recording(RuleBasedStateMachine):
    """What the recorder process does, in this one, and what ought to be there."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="quietscope-model-")
        self.run = RunFolder.create(Path(self.folder), "run")
        self.settings = load_settings(overrides=["source.kind=wire"])
        self.run.settings.write_text(settings_to_toml(self.settings), encoding="utf-8")
        self.raw: dict[FrameKey, int] = {}
        self.denoised: set[FrameKey] = set()
        self.skipped: set[FrameKey] = set()
        self.fatal: list[str] = []
        self.open(resume=False)

    def open(self, *, resume: bool) -> None:
        leftovers = Leftovers(self.run, self.settings) if resume else None
        self.committer = Committer(self.run.ledger, wait_s=0.0, on_fatal=self.fatal.append)
        limits = RecorderSettings(ring_mb=3 * 2 * SHAPE[0] * SHAPE[1] / 1e6, writers=2, retries=3)
        spool = Spool(self.run.spool, 10**6)
        self.vault = Vault(
            limits, spool, self.committer, on_fatal=self.fatal.append, on_trouble=lambda _: None
        )
        self.intake = Intake(
            self.vault,
            self.committer,
            lambda series: StoreWriter(self.run.root, series, StoreSettings(sync=False), resume=resume),
            announce=lambda _: None,
            announce_series=lambda _: None,
            stop=StopSettings(),
            block=False,
            on_fatal=self.fatal.append,
            on_reject=lambda *_: None,
            known=leftovers.known if leftovers else (),
        )
        if leftovers is None:
            self.intake.start(SERIES)
        else:
            leftovers.run(self.intake, threading.Event())
            assert self.vault.drain(20)
            leftovers.clear()

    def shut(self) -> None:
        assert self.vault.drain(20)
        self.vault.close()
        self.committer.close()

    @initialize()
    def receive_the_first_frames(self) -> None:
        for t in range(3):
            self.receive(FrameKey(t), None)

    @rule(key=KEYS, fault=st.none() | FAULTS)
    def receive(self, key: FrameKey, fault: str | None) -> None:
        with armed(fault or ""):
            taken = self.intake.submit(Frame(pixels(key), key, 1))
            if fault:
                assert self.vault.drain(20)
        assert taken == (key not in self.raw)
        self.raw.setdefault(key, 0)

    @rule(key=KEYS, shape=st.sampled_from([SHAPE, (8, 13), (1, 1), (12, 8)]))
    def receive_what_is_wrong(self, key: FrameKey, shape: tuple[int, int]) -> None:
        known = min(self.raw)
        assert not self.intake.submit(Frame(pixels(known, salt=9), known, 1))
        if shape != SHAPE:
            assert not self.intake.submit(Frame(np.zeros(shape, "uint16"), key, 1))

    @precondition(lambda self: self.raw)
    @rule(data=st.data(), fault=st.none() | FAULTS)
    def denoise(self, data, fault: str | None) -> None:
        key = data.draw(st.sampled_from(sorted(self.raw)))
        assert self.vault.drain(20)
        if key in self.skipped:
            return
        deposit = Deposit(Frame(pixels(key, salt=1), key, 1), Provenance("m", None, live=False))
        with armed(fault or ""):
            assert self.vault.deposit(deposit, timeout_s=5)
            assert self.vault.drain(20)
        self.denoised.add(key)

    @precondition(lambda self: self.raw)
    @rule(data=st.data())
    def skip(self, data) -> None:
        key = data.draw(st.sampled_from(sorted(self.raw)))
        assert self.vault.drain(20)
        self.committer.put(SkippedRow(key, "gate"))
        if key not in self.denoised:
            self.skipped.add(key)

    @rule()
    def end_and_resume(self) -> None:
        self.shut()
        self.open(resume=True)

    @precondition(lambda self: self.raw)
    @rule(data=st.data())
    def crash_between_sync_and_commit(self, data) -> None:
        """The plane is there and its row is not; resume takes it in, not denoised."""
        key = data.draw(st.sampled_from(sorted(self.raw)))
        self.shut()
        with sqlite3.connect(self.run.ledger) as db:
            db.execute("DELETE FROM frame WHERE t = ? AND c = ? AND z = ? AND p = ?", key)
        db.close()
        self.denoised.discard(key)
        self.skipped.discard(key)
        self.open(resume=True)

    @rule(key=KEYS)
    def crash_with_frames_in_the_spool(self, key: FrameKey) -> None:
        self.shut()
        spool = Spool(self.run.spool, 10**6)
        spool.append(Frame(pixels(key), key, 1))
        spool.close()
        with self.run.spool.open("ab") as file:
            file.write(b"QSPL\x40\0\0\0{torn")
        self.raw.setdefault(key, 0)
        self.open(resume=True)

    @invariant()
    def memory_is_bounded_and_nothing_is_fatal(self) -> None:
        assert self.fatal == []
        assert self.vault.ring.peak_nbytes <= self.vault.ring.capacity

    def teardown(self) -> None:
        try:
            self.shut()
            self.check()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def check(self) -> None:
        with LedgerReader(self.run.ledger) as ledger:
            states = {frame.key: frame.state for frame in ledger.kept()}
        expected = dict.fromkeys(self.raw, "raw")
        expected |= dict.fromkeys(self.skipped, "skipped") | dict.fromkeys(self.denoised, "denoised")
        assert states == expected
        store = StoreReader(self.run.root)
        for key, state in states.items():
            np.testing.assert_array_equal(store.read("raw", key), pixels(key))
            if state == "denoised":
                np.testing.assert_array_equal(store.read("denoised", key), pixels(key, salt=1))
        found = [
            finding for finding in verify(self.run).findings if finding.kind not in {"unfinished", "report"}
        ]
        assert [finding for finding in found if not finding.text.startswith("denoised")] == []


Recording.TestCase.settings = settings(
    max_examples=15 * TIMES,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=TIMES == 1,
)
test_the_recording_path_is_a_dictionary_that_survives = Recording.TestCase


@pytest.mark.parametrize(
    ("what", "count"), [("wire", 3000), ("tiff", 600), ("ndtiff", 600), ("settings", 400)]
)
def test_what_comes_from_outside_is_refused_or_right(what, count):
    outcomes, bad = fuzz.fuzz(what, count * TIMES)
    assert bad == []
    assert outcomes["taken"] > count // 50
    assert outcomes["refused"] > count // 50
