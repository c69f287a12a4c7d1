"""What a run that ended early left behind, as a source: spool, the rest of its source, planes without a row."""

import os
import shutil
import threading
import time
import zlib
from pathlib import Path

from quietscope.adapters.frame import Frame, FrameKey, Series
from quietscope.adapters.ome_zarr import StoreReader, litter, plane_files
from quietscope.adapters.protocols import Sink
from quietscope.config import Settings, StoreError
from quietscope.config.sources import FolderSettings, RunSourceSettings
from quietscope.daemon.continuation import Continuation
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.source import make_source
from quietscope.daemon.spool import read_spool

__all__ = ["Leftovers"]


class Leftovers:
    """Source of a resumed run.

    Delivers, in this order and only what the ledger has not:

    1. frames that waited in the spool;
    2. what a source that can be read again (a folder, another run) holds, if the run ended before it was through;
    3. planes that were written completely, but whose row was never committed: nobody was told that they are safe,
       and all the same they are pixels of the experiment. One that came again by another way is removed instead.

    Parameters
    ----------
    run
        The run.
    settings
        Its settings.

    Raises
    ------
    quietscope.config.LedgerError
        If there is no readable ledger.
    """

    def __init__(self, run: RunFolder, settings: Settings) -> None:
        self._run = run
        self._settings = settings
        with LedgerReader(run.ledger) as ledger:
            self._series = ledger.series()
            checksums = ledger.checksums()
            self._pages = ledger.pages()
            self._rejections = ledger.rejections()
            self._complete = ledger.meta("source_complete") is True
            self.received = int(ledger.meta("received") or 0)
        self.known: frozenset[FrameKey] = frozenset(checksums)
        self._checksums = frozenset(checksums.values())
        if run.spool.exists():
            # The run may be killed again: what is left lies beside the new spool until it is in the ledger.
            os.replace(run.spool, run.root / f"spool-{time.time_ns()}.bin")
        self._files = sorted(run.root.glob("spool-*.bin"))
        for path in litter(run.root):
            _remove(path)

    @property
    def is_interrupted_source(self) -> bool:
        """Whether the run ended before its source was through, and the source can be read again."""
        return not self._complete and isinstance(self._settings.source, FolderSettings | RunSourceSettings)

    def run(self, sink: Sink, stop: threading.Event) -> None:
        """Deliver what is not in the ledger yet."""
        orphans = [found for found in plane_files(self._run.root, "raw") if found[0] not in self.known]
        delivered: set[FrameKey] = set(self.known)
        if self._series is not None:
            sink.start(self._series)
            for path in self._files:
                for frame in read_spool(path):
                    if stop.is_set():
                        return
                    if frame.key not in delivered:
                        delivered.add(frame.key)
                        sink.submit(frame)
        again = self._read_source_again(sink, stop, delivered)
        if self._series is not None and not stop.is_set():
            orphans = [(key, path) for key, path in orphans if key not in delivered]
            if isinstance(self._settings.source, FolderSettings):
                again |= self._checksums  # another resume may have read the file meanwhile
            self._adopt(sink, self._series, orphans, again)

    def clear(self) -> None:
        """Remove the files whose frames are all safe now."""
        for path in self._files:
            path.unlink(missing_ok=True)

    def _read_source_again(self, sink: Sink, stop: threading.Event, delivered: set[FrameKey]) -> set[int]:
        """Deliver what the source still has and note its keys; CRC-32 of every frame delivered."""
        settings = self._settings.source
        if not self.is_interrupted_source:
            return set()
        if isinstance(settings, FolderSettings):
            settings = settings.model_copy(update={"follow": False, "polling": True})
        source = make_source(settings)
        assert source is not None
        if self._series is None:
            source.run(sink, stop)
            return set()
        pages = self._pages if isinstance(settings, FolderSettings) else None
        continuation = Continuation(sink, self._series, frozenset(delivered), pages, self._rejections)
        source.run(continuation, stop)
        delivered |= continuation.taken
        return continuation.checksums

    def _adopt(
        self, sink: Sink, series: Series, orphans: list[tuple[FrameKey, Path]], again: set[int]
    ) -> None:
        store = StoreReader(self._run.root) if orphans else None
        for key, path in orphans:
            assert store is not None
            try:
                received_ns = path.stat().st_mtime_ns
                pixels = store.read("raw", key)
            except (OSError, StoreError):
                path.unlink(missing_ok=True)
                continue
            if pixels.shape != (series.height, series.width) or zlib.crc32(pixels.data) in again:
                path.unlink(missing_ok=True)
                continue
            sink.submit(Frame(pixels, key, received_ns, metadata={"adopted": True}))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
