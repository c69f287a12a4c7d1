"""What a frame costs late in a long series beside early: ledger, store and memory."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import psutil

from quietscope.adapters.frame import FrameKey, Series
from quietscope.adapters.ome_zarr import StoreWriter
from quietscope.config.system import StoreSettings
from quietscope.daemon.bench.timing import Timing, in_turn
from quietscope.daemon.ledger import DenoisedRow, LedgerWriter, RawRow
from quietscope.daemon.ledger_reader import LedgerReader

__all__ = ["Growth", "growth"]

_SIDE = 64
_GROUP = 8


@dataclass(frozen=True)
class Growth:
    """Costs in a short and in a long series.

    Parameters
    ----------
    early, late
        Frames that the series had.
    costs
        What is done → timings in the short and in the long series, measured in turn.
    memory_mb
        Growth of this process' memory from `early` to `late` frames while it wrote them, 10⁶ bytes.
    """

    early: int
    late: int
    costs: dict[str, tuple[Timing, Timing]]
    memory_mb: float


def growth(folder: Path | None, *, early: int, late: int, rounds: int, longest_s: float) -> Growth:
    """Make two series, then go on with both in turn.

    Parameters
    ----------
    folder
        Where to write; none takes the system's place for temporary files.
    early, late
        Frames of 64×64 pixels that the series have beforehand.
    rounds, longest_s
        See `in_turn`.

    Returns
    -------
    Growth
        ``store``: one raw plane, synced. ``ledger``: eight raw and eight denoised rows in two commits. ``queue``: what
        the processor asks the ledger for a frame.
    """
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix=".quietscope-bench-")))
        pairs, memory_mb = [], 0.0
        for frames in (early, late):
            run = root / str(frames)
            run.mkdir()
            memory_mb = _fill(run, frames, early)
            store = StoreWriter(run, _series(), StoreSettings(), resume=True)
            ledger = LedgerWriter(run / "ledger.db")
            stack.callback(ledger.close)
            reader = stack.enter_context(LedgerReader(run / "ledger.db"))
            pairs.append(_work(store, ledger, reader, frames))
        names = list(pairs[0])
        contenders = {f"{name} {i}": pairs[i][name] for name in names for i in range(2)}
        found = in_turn(contenders, rounds=rounds, longest_s=longest_s)
    return Growth(early, late, {name: (found[f"{name} 0"], found[f"{name} 1"]) for name in names}, memory_mb)


def _series() -> Series:
    return Series(height=_SIDE, width=_SIDE, dtype="uint16", channels=("0",), source="bench")


def _fill(run: Path, frames: int, early: int) -> float:
    """Write a series that nobody waits for; growth of memory since frame `early`, 10⁶ bytes."""
    store = StoreWriter(run, _series(), StoreSettings(sync=False))
    ledger = LedgerWriter(run / "ledger.db")
    plane = np.random.default_rng(0).poisson(200, (_SIDE, _SIDE)).astype(np.uint16)
    process, before = psutil.Process(), 0
    for t in range(frames):
        if t == early:
            before = process.memory_info().rss
        store.write("raw", FrameKey(t), plane)
    group = 1 << 10
    for first in range(0, frames, group):
        _commit(ledger, range(first, min(first + group, frames)))
    ledger.close()
    return (process.memory_info().rss - before) / 1e6 if before else 0.0


def _commit(ledger: LedgerWriter, times: range) -> None:
    ledger.commit(RawRow(FrameKey(t), t, t, t, None, {}) for t in times)
    ledger.commit(DenoisedRow(FrameKey(t), t, t, "0" * 12, None, live=True) for t in times)


def _work(
    store: StoreWriter, ledger: LedgerWriter, reader: LedgerReader, frames: int
) -> dict[str, Callable[[], object]]:
    plane = np.random.default_rng(1).poisson(200, (_SIDE, _SIDE)).astype(np.uint16)
    planes, groups = count(frames), count(frames, _GROUP)

    def commit() -> None:
        first = next(groups)
        _commit(ledger, range(first, first + _GROUP))

    def ask() -> None:
        reader.pending((0,), limit=1, newest_first=True)
        reader.pending((0,), limit=1)
        reader.pending_count()

    return {
        "store": lambda: store.write("raw", FrameKey(next(planes)), plane),
        "ledger": commit,
        "queue": ask,
    }
