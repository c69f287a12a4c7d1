"""Repairs a run: what can be rebuilt is, what cannot is listed, and nothing that is whole is touched."""

import threading
import zlib
from dataclasses import replace

import numpy as np

from quietscope.adapters.frame import Frame, FrameKey, Series
from quietscope.adapters.ome_zarr import Kind, StoreReader, StoreWriter, discard_levels, plane_files
from quietscope.config import QuietscopeError, Settings
from quietscope.config.sources import FolderSettings, RunSourceSettings
from quietscope.daemon.ledger import LedgerWriter, LostDenoisedRow
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.source import make_source
from quietscope.daemon.verification import Verification

__all__ = ["repair"]


def repair(run: RunFolder, settings: Settings, found: Verification) -> list[str]:
    """Rebuild the parts of a run that a verification found damaged; what only `resume` can do is left to it.

    Parameters
    ----------
    run
        A run that is not going on.
    settings
        Its settings.
    found
        What `quietscope.daemon.verification.verify` said.

    Returns
    -------
    list of str
        What was done, in words.

    Raises
    ------
    quietscope.config.LedgerError, quietscope.config.StoreError
        If ledger or store cannot be written.
    """
    with LedgerReader(run.ledger) as ledger:
        series, checksums, pages = ledger.series(), ledger.checksums(), ledger.pages()
        skipped = {frame.key for frame in ledger.kept() if frame.state == "skipped"}
    if series is None:
        return []
    done: list[str] = []
    if found.of("raw", "raw-pyramid", "denoised-pyramid"):
        store = StoreWriter(run.root, series, settings.store, resume=run.store.is_dir())
        wanted = {
            finding.key: checksums[finding.key] for finding in found.of("raw") if finding.key is not None
        }
        done += _Taker(run, store, series, wanted, pages).take_from(settings)
        done += _pyramids(run, store, found)
        extent: dict[int, int] = {}
        for key in checksums:
            extent[key.p] = max(extent.get(key.p, -1), key.t)
        store.finish(extent)
    done += _forget_denoised(run, found)
    for key, path in list(plane_files(run.root, "denoised")):
        if key in skipped or key not in checksums:
            path.unlink(missing_ok=True)
            done.append(f"denoised {key} is removed: nothing in the ledger belongs to it")
    return done


def _pyramids(run: RunFolder, store: StoreWriter, found: Verification) -> list[str]:
    done = []
    kinds: dict[str, Kind] = {"raw-pyramid": "raw", "denoised-pyramid": "denoised"}
    reader = StoreReader(run.root)
    for finding in found.of("raw-pyramid", "denoised-pyramid"):
        if finding.key is not None:
            kind = kinds[finding.kind]
            pixels = reader.read(kind, finding.key)
            discard_levels(run.root, kind, finding.key, first=1)
            store.write(kind, finding.key, pixels)
            done.append(f"the coarser levels of {kind} {finding.key} are made again")
    return done


def _forget_denoised(run: RunFolder, found: Verification) -> list[str]:
    keys = [finding.key for finding in found.of("denoised") if finding.key is not None]
    if not keys:
        return []
    for key in keys:
        discard_levels(run.root, "denoised", key)
    ledger = LedgerWriter(run.ledger)
    try:
        ledger.commit(LostDenoisedRow(key) for key in keys)
    finally:
        ledger.close()
    return [f"denoised {key} is to be made again" for key in keys]


class _Taker:
    """Sink that takes damaged raw planes once more from their source, if their checksums are right."""

    def __init__(
        self,
        run: RunFolder,
        store: StoreWriter,
        series: Series,
        wanted: dict[FrameKey, int],
        pages: dict[tuple[str, int], dict[int, FrameKey]],
    ) -> None:
        self._run = run
        self._store = store
        self._series = series
        self._wanted = wanted
        self._pages = pages
        self._done: list[str] = []

    def take_from(self, settings: Settings) -> list[str]:
        source = settings.source
        if not self._wanted or not isinstance(source, FolderSettings | RunSourceSettings):
            return []
        if isinstance(source, FolderSettings):
            source = source.model_copy(update={"follow": False, "polling": True})
        try:
            made = make_source(source)
            assert made is not None
            made.run(self, threading.Event())
        except QuietscopeError as error:
            self._done.append(f"the source could not be read again: {error}")
        return self._done

    def start(self, series: Series) -> None:
        self._series = replace(self._series, source=series.source)

    def submit(self, frame: Frame) -> bool:
        name, page = frame.metadata.get("name"), int(frame.metadata.get("page", 0))
        pixels = np.ascontiguousarray(frame.pixels)
        checksum = zlib.crc32(pixels.data)
        key = self._pages.get((str(name), page), {}).get(checksum, frame.key)
        if self._wanted.get(key) != checksum:
            return False
        discard_levels(self._run.root, "raw", key)
        self._store.write("raw", key, pixels)
        del self._wanted[key]
        self._done.append(f"raw {key} is taken again from {self._series.source}")
        return True

    def reject(self, name: str, reason: str, detail: str) -> None:  # noqa: ARG002 - was counted by the run
        return
