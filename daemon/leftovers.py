"""What a run that ended early left behind, as a source: the frames that waited in the spool."""

import os
import threading
import time

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.protocols import Sink
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.spool import read_spool

__all__ = ["Leftovers"]


class Leftovers:
    """Source of a resumed run.

    Parameters
    ----------
    run
        The run.

    Raises
    ------
    quietscope.config.LedgerError
        If there is no readable ledger.
    """

    def __init__(self, run: RunFolder) -> None:
        with LedgerReader(run.ledger) as ledger:
            self._series = ledger.series()
            self.known: frozenset[FrameKey] = frozenset(ledger.checksums())
        if run.spool.exists():
            # The run may be killed again: what is left lies beside the new spool until it is in the ledger.
            os.replace(run.spool, run.root / f"spool-{time.time_ns()}.bin")
        self._files = sorted(run.root.glob("spool-*.bin"))

    def run(self, sink: Sink, stop: threading.Event) -> None:
        """Deliver what is not in the ledger yet."""
        if self._series is None:
            return
        sink.start(self._series)
        for path in self._files:
            for frame in read_spool(path):
                if stop.is_set():
                    return
                if frame.key not in self.known:
                    sink.submit(frame)

    def clear(self) -> None:
        """Remove the files whose frames are all safe now."""
        for path in self._files:
            path.unlink(missing_ok=True)
