"""Everything that the report is made of, read from a run folder."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quietscope.adapters.frame import FrameKey, Series, channel_name
from quietscope.config import Settings
from quietscope.config.loader import load_settings
from quietscope.daemon.ledger_facts import ModelVerdict
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.report.history import History
from quietscope.daemon.runfolder import RunFolder

__all__ = ["RunFacts", "gather"]


@dataclass(frozen=True, eq=False)
class RunFacts:
    """A run as it is now; it may still go on.

    Parameters
    ----------
    run
        The run folder.
    settings
        Effective settings.
    is_going_on
        Whether processes of the run are alive.
    series
        What the frames share, or None if none came.
    summary
        What ``summary.json`` says; empty if there is none.
    received
        Frames that came; None where a run was killed before it could say so.
    counts
        Frames in the store by state: ``raw``, ``denoised``, ``skipped``.
    skipped, rejected
        Reason → number.
    shown_below_full
        Quality that frames were first shown at because the machine was behind → number.
    began, ended
        Arrival of the first and of the last frame, or None without frames.
    live_ns
        Frames that were denoised live: arrival and publication, nanoseconds since the epoch, shape (n, 2), int64.
    verdicts
        Channel → the gate's verdict.
    earlier
        Channel that started from a model of an earlier run → in words which, and how many frames are its work.
    shown
        Channel → a frame to show: the last denoised one, or the last there is.
    denoised
        Channel → number of denoised frames.
    judgements
        Time point, channel, traffic light and reason of every frame that was judged.
    history
        What the log says.
    """

    run: RunFolder
    settings: Settings
    is_going_on: bool
    series: Series | None
    summary: Mapping[str, Any]
    received: int | None
    counts: Mapping[str, int]
    skipped: Mapping[str, int]
    rejected: Mapping[str, int]
    shown_below_full: Mapping[str, int]
    began: dt.datetime | None
    ended: dt.datetime | None
    live_ns: NDArray[np.int64]
    verdicts: Mapping[int, ModelVerdict]
    earlier: Mapping[int, tuple[str, int]]
    shown: Mapping[int, FrameKey]
    denoised: Mapping[int, int]
    judgements: Sequence[tuple[int, int, str, str]]
    history: History

    @property
    def stored(self) -> int:
        """Raw frames in the store."""
        return sum(self.counts.values())

    @property
    def recording_s(self) -> float | None:
        """Seconds between the first and the last frame."""
        if self.began is None or self.ended is None:
            return None
        return (self.ended - self.began).total_seconds()

    @property
    def latencies_s(self) -> NDArray[np.float64]:
        """Seconds from arrival to publication of the frames that were denoised live."""
        return np.diff(self.live_ns, axis=1)[:, 0] / 1e9

    def name(self, channel: int) -> str:
        """Name of a channel."""
        return channel_name(() if self.series is None else self.series.channels, channel)


def gather(run: RunFolder) -> RunFacts:
    """Read what the report needs.

    Raises
    ------
    quietscope.config.LedgerError
        If the ledger cannot be read.
    quietscope.config.SettingsError
        If the run's settings are none of this version.
    """
    settings = load_settings(run.settings)
    with LedgerReader(run.ledger) as ledger:
        stored, first, last = ledger.arrivals()
        received = ledger.meta("received")
        shown, denoised = {}, {}
        for channel in ledger.channels():
            keys = ledger.denoised_keys(channel)
            denoised[channel] = len(keys)
            shown[channel] = _last_in_the_middle(keys or [frame.key for frame in ledger.frames(channel)])
        return RunFacts(
            run=run,
            settings=settings,
            is_going_on=bool(run.alive()),
            series=ledger.series(),
            summary=_summary(run.summary),
            received=None if received is None else int(received),
            counts=ledger.counts(),
            skipped=ledger.skipped(),
            rejected=ledger.rejected(),
            shown_below_full=ledger.shown_below_full(),
            began=_moment(first) if stored else None,
            ended=_moment(last) if stored else None,
            live_ns=_live(ledger),
            verdicts=ledger.verdicts(),
            earlier=ledger.earlier_models(),
            shown=shown,
            denoised=denoised,
            judgements=ledger.judgements(),
            history=History(run.log),
        )


def _last_in_the_middle(keys: list[FrameKey]) -> FrameKey:
    """Of the last time point the plane in the middle of the stack."""
    last = [key for key in keys if key.t == keys[-1].t]
    return last[len(last) // 2]


def _live(ledger: LedgerReader) -> NDArray[np.int64]:
    parts = [np.empty((0, 2), np.int64)]
    last = 0
    while rows := ledger.live_publications(after=last):
        last = rows[-1][0]
        parts.append(np.asarray(rows, np.int64)[:, 1:])
    return np.concatenate(parts)


def _moment(time_ns: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(time_ns / 1e9).astimezone()


def _summary(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
