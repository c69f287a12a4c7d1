"""The recording path under the faults of docs/reliability.md, made by the hooks built into it."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from quietscope.adapters.frame import Frame, FrameKey, Series
from quietscope.adapters.ome_zarr import StoreReader, StoreWriter
from quietscope.config.errors import FrameError, SettingsError
from quietscope.config.faultpoints import armed, parse_faults
from quietscope.config.system import RecorderSettings, StopSettings, StoreSettings
from quietscope.daemon.committer import Committer
from quietscope.daemon.intake import Intake
from quietscope.daemon.ledger import EventRow
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.spool import Spool
from quietscope.daemon.vault import Deposit, Vault

SHAPE = (40, 56)
SERIES = Series(*SHAPE, "uint16", ("GFP",), "a test")


def frame(t: int, c: int = 0, **changes) -> Frame:
    pixels = np.random.default_rng([t, c]).integers(0, 4000, changes.get("shape", SHAPE)).astype("uint16")
    return Frame(pixels, FrameKey(t, c), changes.get("received_ns", time.time_ns()))


class Desk:
    """The recording path in this process: door, ring, writers, ledger."""

    def __init__(self, root: Path, *, block: bool = False, **limits) -> None:
        self.root = root
        self.ledger = root / "ledger.db"
        self.fatal: list[str] = []
        self.trouble: list[str] = []
        self.safe: list[int] = []
        settings = RecorderSettings(**{"retries": 3, **limits})
        self.committer = Committer(self.ledger, wait_s=0.0, on_fatal=self.fatal.append)
        spool = Spool(root / "spool.bin", int(settings.spool_mb * 1e6))
        self.vault = Vault(
            settings, spool, self.committer, on_fatal=self.fatal.append, on_trouble=self.trouble.append
        )
        self.intake = Intake(
            self.vault,
            self.committer,
            lambda series: StoreWriter(root, series, StoreSettings(sync=False)),
            announce=lambda _: None,
            announce_series=lambda _: None,
            stop=StopSettings(),
            block=block,
            on_fatal=self.fatal.append,
            on_reject=lambda *_: None,
        )

    def take(self, one: Frame) -> bool:
        return self.intake.take(Deposit(one, then=lambda: self.safe.append(one.key.t)))

    def close(self) -> None:
        if not self.vault.closed:
            self.vault.drain(20)
            self.vault.close()
            self.committer.close()

    def kept(self) -> list[int]:
        """Time points in the ledger; the pixels of every one are right."""
        store = StoreReader(self.root)
        with LedgerReader(self.ledger) as ledger:
            keys = sorted(ledger.checksums())
        for key in keys:
            np.testing.assert_array_equal(store.read("raw", key), frame(key.t, key.c).pixels)
        return [key.t for key in keys]


@pytest.fixture
def desk(tmp_path) -> Iterator:
    made: list[Desk] = []

    def make(**options) -> Desk:
        made.append(Desk(tmp_path, **options))
        made[-1].intake.start(SERIES)
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize(
    "faults",
    [
        "store.write=EIO@3x2",
        "store.write=ENOSPC@3x2",
        "store.sync=EIO@2x2",
        "store.sync=ESTALE@2x1",  # a network share that was mounted again
        "ledger.commit=EIO@2x2",
        "ledger.commit=ENOSPC@1x3",
    ],
)
def test_a_disk_that_recovers_costs_nothing_but_time(desk, faults):
    one = desk(writers=1)
    with armed(faults) as points:
        assert all(one.take(frame(t)) for t in range(12))
        one.close()
        (point,) = points.values()
        assert point.passes > point.first + point.count - 1, "the fault did not happen: this proves nothing"
    assert one.fatal == []
    assert one.kept() == list(range(12)) == sorted(one.safe)
    if faults.startswith("store"):
        assert "trying again" in one.trouble[0]


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ("store.write=ENOSPC@6", "Free some space"),
        ("store.write=EIO@6", "Check that the disk is there"),
        ("store.sync=EIO@6", "Check that the disk is there"),
    ],
)
def test_a_disk_that_stays_bad_ends_the_run_loudly_and_what_was_acknowledged_is_kept(desk, faults, words):
    one = desk(writers=1, retries=2)
    with armed(faults):
        for t in range(12):
            one.take(frame(t))
        one.close()
    assert words in one.fatal[0]
    assert one.kept() == [0, 1, 2, 3, 4] == sorted(one.safe)
    assert one.intake.received == 12


def test_a_ledger_that_cannot_be_written_acknowledges_nothing(desk, monkeypatch):
    monkeypatch.setattr("quietscope.daemon.committer._RETRIES", 2)
    one = desk()
    one.committer.flush(5)
    with armed("ledger.commit=EIO"):
        one.take(frame(0))
        one.close()
    assert "free some disk space or check the disk" in one.fatal[0]
    assert one.safe == []
    assert one.kept() == []


def test_whoever_waits_for_the_ledger_and_fails_does_not_stop_it(desk):
    one = desk()
    one.committer.put(EventRow("info", "first"), lambda: 1 / 0)
    one.committer.put(EventRow("info", "second"), lambda: one.safe.append(2))
    assert one.committer.flush(20)
    assert one.safe == [2]
    assert "division by zero" in one.fatal[0]


def test_a_slow_disk_fills_memory_to_its_bound_and_then_the_spool(desk):
    one = desk(writers=1, ring_mb=5 * frame(0).nbytes / 1e6)
    with armed("store.write=slow:0.02"):
        began = time.monotonic()
        assert all(one.take(frame(t)) for t in range(40))
        assert time.monotonic() - began < 40 * 0.02, "the camera was kept waiting"
        one.close()
    assert one.vault.spooled > 20
    assert one.vault.ring.peak_nbytes <= 5 * frame(0).nbytes
    assert one.kept() == list(range(40))
    assert not (one.root / "spool.bin").exists()


def test_a_source_that_can_wait_waits_for_a_slow_disk(desk):
    one = desk(block=True, writers=1, ring_mb=5 * frame(0).nbytes / 1e6)
    with armed("store.write=slow:0.02"):
        assert all(one.take(frame(t)) for t in range(30))
        one.close()
    assert one.vault.spooled == 0
    assert one.kept() == list(range(30))


def test_a_spool_that_cannot_be_written_is_fatal_and_the_frame_is_not_acknowledged(desk):
    one = desk(writers=1, ring_mb=2 * frame(0).nbytes / 1e6)
    with armed("store.write=slow:0.05,spool.write=ENOSPC"):
        taken = [t for t in range(8) if one.take(frame(t))]
        one.close()
    assert "free some disk space" in one.fatal[0]
    assert len(taken) < 8
    assert one.kept() == taken == sorted(one.safe)


def test_a_store_that_cannot_be_made_is_said_and_asked_for_again(desk, tmp_path):
    one = Desk(tmp_path)
    try:
        with armed("store.rename=EACCES"), pytest.raises(OSError, match="folder writable"):
            one.intake.start(SERIES)
        one.intake.start(SERIES)
        assert one.take(frame(0))
    finally:
        one.close()
    assert one.kept() == [0]


def test_a_channel_whose_name_cannot_be_written_is_recorded_all_the_same(desk):
    one = desk(writers=1)
    assert one.take(frame(0))
    one.vault.drain(5)
    with armed("store.rename=EIO@1x2"):
        assert one.take(frame(0, 1))
        one.vault.drain(5)
    assert one.take(frame(1, 1))
    one.close()
    assert one.fatal == []
    assert one.kept() == [0, 0, 1]


def test_an_error_of_the_store_that_names_no_disk_is_tried_again_as_well(desk):
    one = desk(writers=1)
    with armed("store.write=lost@2x1"):
        for t in range(4):
            one.take(frame(t))
        one.close()
    assert one.kept() == [0, 1, 2, 3]


def test_clock_jumps_change_no_frame(desk):
    one = desk(writers=1)
    hour = 3_600 * 10**9
    for t, jump in enumerate([0, -hour, 0, hour, -2 * hour]):
        assert one.take(frame(t, received_ns=time.time_ns() + jump))
    one.close()
    assert one.kept() == list(range(5))
    with LedgerReader(one.ledger) as ledger:
        assert [found.key.t for found in ledger.all_frames()] == list(range(5)), "order of arrival"


def test_duplicates_disorder_and_gaps(desk):
    one = desk()
    assert [one.take(frame(t)) for t in (4, 0, 0, 9, 4)] == [True, True, False, True, False]
    one.close()
    assert one.kept() == [0, 4, 9]
    assert one.intake.rejected == {"duplicate": 2}


def test_shape_or_type_that_changes_in_mid_series_is_named_and_the_series_goes_on(desk):
    one = desk()
    assert one.take(frame(0))
    assert not one.take(frame(1, shape=(20, 56)))
    floats = Frame(frame(1).pixels.astype("float32"), FrameKey(1), 0)
    assert not one.take(floats)
    for changed in (Series(20, 56, "uint16", ("GFP",), "x"), Series(*SHAPE, "uint8", ("GFP",), "x")):
        with pytest.raises(FrameError, match="start a new run"):
            one.intake.start(changed)
    assert one.take(frame(1))
    one.close()
    assert one.kept() == [0, 1]
    assert one.intake.rejected == {"shape": 1, "dtype": 1}


def test_entries_that_mean_nothing_are_refused():
    assert parse_faults("") == {}
    for text in (
        "store.write",
        "store.write=EWHATEVER",
        "nowhere=EIO",
        "store.write=EIO@x",
        "runtime.run=boom",
    ):
        with pytest.raises(SettingsError, match="POINT=FAULT"):
            parse_faults(text)


def test_points_that_are_passed_by_many_threads_count_right():
    with armed("store.write=slow:0@1x1") as points:
        from quietscope.config.faultpoints import reach

        threads = [
            threading.Thread(target=lambda: [reach("store.write") for _ in range(500)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert points["store.write"].passes == 2000
