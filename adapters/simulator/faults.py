"""The fault box: what goes wrong at which frame, decided by the seed and counted as it happens."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from quietscope.adapters.frame import Frame, FrameKey
from quietscope.config.sources import FaultBoxSettings

__all__ = ["FaultBox", "FaultPlan"]

Fault = Literal["drop", "duplicate", "reorder", "corrupt", "stall"]


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """The faults planned for one frame; a dropped frame has no other fault."""

    drop: bool = False
    duplicate: bool = False
    reorder: bool = False
    corrupt: bool = False
    stall: bool = False


class FaultBox:
    """Makes the faults of one run and counts them, so that received frames can be reconciled exactly.

    * *drop*: the frame is never delivered.
    * *duplicate*: the frame is delivered twice, one right after the other.
    * *reorder*: the frame is held back and delivered right after the next delivered frame of its channel. While a
      frame is held no other of its channel is, and the last time point never is. A held frame that gets no
      successor (dropped, or the run was stopped) is delivered at the end, and then counts as not reordered.
    * *corrupt*: a message with the frame's key and one row too few comes *before* the good frame, which is not
      lost.
    * *stall*: the camera pauses before the frame (the source waits).

    Parameters
    ----------
    settings
        Probabilities per frame.
    seed
        Seed of the simulator: the same faults in every run.
    """

    def __init__(self, settings: FaultBoxSettings, seed: int) -> None:
        self._settings = settings
        self._seed = seed
        self._counts: dict[Fault, int] = {"drop": 0, "duplicate": 0, "reorder": 0, "corrupt": 0, "stall": 0}
        self._held: dict[int, tuple[Frame, FaultPlan]] = {}

    @property
    def counts(self) -> dict[str, int]:
        """How often each fault has happened so far."""
        return {str(name): number for name, number in self._counts.items()}

    def count(self, fault: Fault) -> None:
        """Note that a fault made by the source itself (``drop``, ``stall``) happened."""
        self._counts[fault] += 1

    def plan(self, key: FrameKey, *, last: bool) -> FaultPlan:
        """Decide the faults of a frame: the same for the same seed and key, whatever was asked before.

        Parameters
        ----------
        key
            The frame.
        last
            Whether it belongs to the last time point, which nothing can follow.
        """
        chance = np.random.default_rng([self._seed, 0xFA, key.t, key.c]).random(5)
        box = self._settings
        if chance[0] < box.drop:
            return FaultPlan(drop=True)
        return FaultPlan(
            duplicate=bool(chance[1] < box.duplicate),
            reorder=bool(chance[2] < box.reorder) and not last,
            corrupt=bool(chance[3] < box.corrupt),
            stall=bool(chance[4] < box.stall),
        )

    def arrange(self, frame: Frame, plan: FaultPlan) -> list[Frame]:
        """What is delivered at the turn of ``frame``, in this order; empty if it is held back."""
        channel = frame.key.c
        if plan.reorder and channel not in self._held:
            self._held[channel] = frame, plan
            return []
        sent = self._messages(frame, plan)
        if channel in self._held:
            self._counts["reorder"] += 1
            sent += self._messages(*self._held.pop(channel))
        return sent

    def flush(self) -> list[Frame]:
        """What is still held back when the series ends."""
        sent = [message for channel in sorted(self._held) for message in self._messages(*self._held[channel])]
        self._held.clear()
        return sent

    def _messages(self, frame: Frame, plan: FaultPlan) -> list[Frame]:
        messages = [frame]
        if plan.corrupt:
            self._counts["corrupt"] += 1
            messages.insert(0, replace(frame, pixels=frame.pixels[:-1].copy()))
        if plan.duplicate:
            self._counts["duplicate"] += 1
            messages.append(frame)
        return messages
