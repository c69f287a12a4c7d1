"""The seam between the viewer and whoever knows a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from quietscope.adapters.frame import FrameKey, Pixels, Series
from quietscope.adapters.ome_zarr.layout import Kind
from quietscope.adapters.viewer.curve import Curve

__all__ = ["Archive", "Snapshot"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of a run at one moment.

    Parameters
    ----------
    name
        Name of the run.
    running
        Whether the run is going on.
    endpoint
        Address of the running publisher, or None.
    control
        Address at which the run takes commands, or None.
    paused
        Whether denoising is paused.
    series
        What the frames share, or None before the first one.
    lengths
        Lengths of t, c, z and p recorded so far.
    progress
        What the run is busy with besides recording, in words; empty if nothing.
    behind
        What viewers get while the machine is behind, in words; empty at full quality.
    counts
        Frames by state: ``raw`` (waiting), ``denoised``, ``skipped``; and ``rejected``.
    timeline
        For equal parts of the time axis, the state of their frames in one letter: ``d`` all denoised, ``r`` some
        waiting, ``s`` some skipped, ``-`` nothing there.
    models
        By channel: ``accepted`` and ``reason`` of the last verdict, and what is known of the light.
    events
        What happened, in words: ``number`` (from 0), ``time_ms`` (since the epoch), ``level``, ``text``.
    curves
        Figures over time by name.
    """

    name: str
    running: bool = False
    endpoint: str | None = None
    control: str | None = None
    paused: bool = False
    series: Series | None = None
    lengths: FrameKey = field(default=FrameKey(0, 0, 0, 0))
    progress: str = ""
    behind: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    timeline: str = ""
    models: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] = ()
    curves: Mapping[str, Curve] = field(default_factory=dict)


class Archive(Protocol):
    """A run as the viewer sees it."""

    def look(self) -> Snapshot:
        """What is known now. Always called from one and the same thread.

        Raises
        ------
        quietscope.config.QuietscopeError
            If the run cannot be read at the moment.
        """

    def read(self, kind: Kind, key: FrameKey) -> Pixels:
        """Stored pixels of a plane, shape (Y, X). May be called from any thread.

        Raises
        ------
        quietscope.config.StoreError
            If the plane is not there.
        """

    def verdict(self, key: FrameKey) -> tuple[str, str] | None:
        """Traffic light of a denoised frame and why, in words; None where it was not judged.

        May be called from any thread.

        Raises
        ------
        quietscope.config.LedgerError
            If the ledger cannot be read at the moment.
        """

    def close(self) -> None:
        """Let go of the run; called from the thread of `look`."""
