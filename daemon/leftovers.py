"""What a run that ended early left behind, as a source: the frames in the spool, then what it has not received yet."""

import os
import threading
import time
import zlib
from collections.abc import Iterator

from quietscope.adapters.earlier import Earlier, EarlierFrame
from quietscope.adapters.frame import FrameKey
from quietscope.adapters.protocols import Sink, Source
from quietscope.config import SettingsError
from quietscope.config.sources import FolderSettings, RunSourceSettings, SourceSettings
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.source import make_source
from quietscope.daemon.spool import read_spool

__all__ = ["Leftovers"]


class Leftovers:
    """Source of a resumed run.

    A run that died while it was still receiving from something that can be asked again (a folder, an earlier run) takes
    what lies there and is not in the ledger.

    Parameters
    ----------
    run
        The run.
    settings
        Where its frames came from.
    follow
        Go on watching the folder, even if the run had ended in order.

    Raises
    ------
    quietscope.config.LedgerError
        If there is no readable ledger.
    quietscope.config.SettingsError
        If it shall follow what cannot be followed.
    """

    def __init__(self, run: RunFolder, settings: SourceSettings, *, follow: bool = False) -> None:
        self._run = run
        with LedgerReader(run.ledger) as ledger:
            self._series = ledger.series()
            self.known: frozenset[FrameKey] = frozenset(ledger.checksums())
            self.rejected = frozenset(ledger.rejections())
            ended = ledger.meta("intake_ended") is not None
        if run.spool.exists():
            # The run may be killed again: what is left lies beside the new spool until it is in the ledger.
            os.replace(run.spool, run.root / f"spool-{time.time_ns()}.bin")
        self._files = sorted(run.root.glob("spool-*.bin"))
        if follow and not isinstance(settings, FolderSettings):
            msg = f"a run whose source is a {settings.kind} cannot be followed; leave out --follow"
            raise SettingsError(msg)
        if isinstance(settings, FolderSettings):
            settings = settings.model_copy(update={"follow": follow})
        self._rest: Source | None = None
        if follow or (isinstance(settings, FolderSettings | RunSourceSettings) and not ended):
            self._rest = make_source(settings, self._earlier())

    @property
    def receives(self) -> bool:
        """Whether more may come than what the run had received."""
        return self._rest is not None

    def run(self, sink: Sink, stop: threading.Event) -> None:
        """Deliver what is not in the ledger yet.

        Raises
        ------
        quietscope.config.SourceError
            If the source cannot go on.
        """
        if self._series is not None:
            sink.start(self._series)
            for path in self._files:
                for frame in read_spool(path):
                    if stop.is_set():
                        return
                    if frame.key not in self.known:
                        sink.submit(frame)
        if self._rest is not None:
            self._rest.run(sink, stop)

    def _earlier(self) -> Earlier | None:
        return None if self._series is None else Earlier(self._series, self._frames())

    def _frames(self) -> Iterator[EarlierFrame]:
        with LedgerReader(self._run.ledger) as ledger:
            yield from ledger.earlier()
        for path in self._files:
            for frame in read_spool(path):
                yield EarlierFrame(
                    frame.key, frame.received_ns, zlib.crc32(frame.pixels.data), frame.metadata
                )

    def clear(self) -> None:
        """Remove the files whose frames are all safe now."""
        for path in self._files:
            path.unlink(missing_ok=True)
