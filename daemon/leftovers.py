"""What a run that ended early left behind, as a source: spool, the rest of its source, planes without a row."""

import os
import shutil
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from quietscope.adapters.earlier import Earlier, EarlierFrame
from quietscope.adapters.frame import Frame, FrameKey, Series
from quietscope.adapters.ome_zarr import StoreReader, litter, plane_files
from quietscope.adapters.protocols import Sink, Source
from quietscope.config import SettingsError, StoreError
from quietscope.config.sources import FolderSettings, RunSourceSettings, SourceSettings
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.source import make_source
from quietscope.daemon.spool import read_spool

__all__ = ["Leftovers"]


class Leftovers:
    """Source of a resumed run.

    Delivers, in this order and only what the ledger has not:

    1. frames that waited in the spool;
    2. what a source that can be asked again (a folder, another run) holds, if the run ended before it was through;
    3. planes that were written completely, but whose row was never committed: nobody was told that they are safe,
       and all the same they are pixels of the experiment. One that came again by another way is removed instead.

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
            checksums = ledger.checksums()
            self.rejected = frozenset(ledger.rejections())
            self.received = int(ledger.meta("received") or 0)
            complete = ledger.meta("source_complete") is True
        self.known: frozenset[FrameKey] = frozenset(checksums)
        self._checksums = frozenset(checksums.values())
        if follow and not isinstance(settings, FolderSettings):
            msg = f"a run whose source is a {settings.kind} cannot be followed; leave out --follow"
            raise SettingsError(msg)
        if run.spool.exists():
            # The run may be killed again: what is left lies beside the new spool until it is in the ledger.
            os.replace(run.spool, run.root / f"spool-{time.time_ns()}.bin")
        self._files = sorted(run.root.glob("spool-*.bin"))
        for path in litter(run.root):
            _remove(path)
        self._delivered = False
        self._from_files = isinstance(settings, FolderSettings)
        if isinstance(settings, FolderSettings):
            settings = settings.model_copy(update={"follow": follow})
        self._rest: Source | None = None
        if follow or (isinstance(settings, FolderSettings | RunSourceSettings) and not complete):
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
        orphans = [found for found in plane_files(self._run.root, "raw") if found[0] not in self.known]
        noting = _Noting(sink)
        if self._series is not None:
            sink.start(self._series)
            for path in self._files:
                for frame in read_spool(path):
                    if stop.is_set():
                        return
                    if frame.key not in self.known:
                        noting.submit(frame)
        self._delivered = not stop.is_set()
        noting.checksums.clear()  # frames of the spool keep their keys; those of a source may get others
        if self._rest is not None:
            self._rest.run(noting, stop)
        if self._series is not None and not stop.is_set():
            orphans = [(key, path) for key, path in orphans if key not in noting.keys]
            # another resume may have read the file meanwhile
            again = noting.checksums | self._checksums if self._from_files else noting.checksums
            self._adopt(sink, self._series, orphans, again)

    def clear(self) -> None:
        """Remove the files whose frames are all safe now; those that were not read to their end stay."""
        if not self._delivered:
            return
        for path in self._files:
            path.unlink(missing_ok=True)

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
                self._set_aside(path)
                continue
            if zlib.crc32(pixels.data) in again:
                path.unlink(missing_ok=True)
            elif pixels.shape != (series.height, series.width):
                self._set_aside(path)
            else:
                sink.submit(Frame(pixels, key, received_ns, metadata={"adopted": True}))

    def _set_aside(self, path: Path) -> None:
        """Move a plane that cannot be read out of the store: the disk may only have failed for a moment."""
        place = self._run.root / "set-aside"
        with suppress(OSError):
            place.mkdir(exist_ok=True)
            os.replace(path, place / "-".join(path.relative_to(self._run.root).parts))


class _Noting:
    """Sink that keeps the keys and checksums of what goes through."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.keys: set[FrameKey] = set()
        self.checksums: set[int] = set()

    def start(self, series: Series) -> None:
        self._sink.start(series)

    def submit(self, frame: Frame) -> bool:
        taken = self._sink.submit(frame)
        if taken:
            self.keys.add(frame.key)
            self.checksums.add(zlib.crc32(np.ascontiguousarray(frame.pixels).data))
        return taken

    def reject(self, name: str, reason: str, detail: str) -> None:
        self._sink.reject(name, reason, detail)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
