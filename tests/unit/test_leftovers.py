import threading

import numpy as np
import pytest

from quietscope.adapters.frame import Frame, FrameKey, Series
from quietscope.config.sources import WireSourceSettings
from quietscope.daemon.ledger import LedgerWriter, MetaRow, RawRow
from quietscope.daemon.leftovers import Leftovers
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.spool import Spool, read_spool

SERIES = {"height": 4, "width": 6, "dtype": "uint16", "channels": ["GFP"], "source": "a test"}


class Taker:
    """A sink that takes frames, and ends the source with the n-th."""

    def __init__(self, stop: threading.Event, last: int) -> None:
        self.taken: list[int] = []
        self._stop = stop
        self._last = last

    def start(self, series: Series) -> None:
        assert series.channels == ("GFP",)

    def submit(self, frame: Frame) -> bool:
        self.taken.append(frame.key.t)
        if len(self.taken) == self._last:
            self._stop.set()
        return True

    def reject(self, name: str, reason: str, detail: str) -> None:
        pytest.fail(f"{name} {reason} {detail}")


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """A run that died with frame 0 in the ledger and frames 0 to 3 in the spool."""
    run = RunFolder.create(tmp_path, "run")
    ledger = LedgerWriter(run.ledger)
    ledger.commit([MetaRow("series", SERIES), RawRow(FrameKey(0), 1, 2, 3, None, {})])
    ledger.close()
    spool = Spool(run.spool, 10_000)
    for t in range(4):
        spool.append(Frame(np.full((4, 6), t, "uint16"), FrameKey(t), t))
    spool.close()
    return run


def resume(run: RunFolder, last: int) -> list[int]:
    stop = threading.Event()
    taker = Taker(stop, last)
    leftovers = Leftovers(run, WireSourceSettings())
    leftovers.run(taker, stop)
    leftovers.clear()
    return taker.taken


def waiting(run: RunFolder) -> list[int]:
    return [frame.key.t for path in run.root.glob("spool-*.bin") for frame in read_spool(path)]


@pytest.mark.parametrize("last", [1, 3])
def test_a_resume_that_is_stopped_keeps_what_still_waits_in_the_spool(run, last):
    assert resume(run, last) == [1, 2, 3][:last]
    assert waiting(run) == [0, 1, 2, 3]
    assert resume(run, 99) == [1, 2, 3]
    assert waiting(run) == []
