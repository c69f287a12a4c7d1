"""The trainer process: collects the first usable frames of each channel, trains, exports, judges, reports.

Channels take turns in the order in which they have enough frames. A restart begins with the channels that have no
verdict yet, since verdicts are in the ledger. A channel whose specimen has changed is trained again, on frames that
come from then on and at low priority; its old model serves meanwhile.
"""

import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ingest import IngestClient
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.config import QuietscopeError, RunError, Settings
from quietscope.config.faultpoints import reach
from quietscope.daemon.earlier_model import EarlierModels
from quietscope.daemon.ledger_reader import LedgerReader, PendingFrame
from quietscope.daemon.parent import Parent
from quietscope.daemon.runfolder import RunFolder
from quietscope.models.noise import unusable_reason

if TYPE_CHECKING:
    from quietscope.daemon.training_job import Judgement

__all__ = ["Trainer"]

_POLL_S = 0.2
_HELD_OUT = 6
_LOOK_AT = 400
_NICE = 10


@dataclass
class _Collection:
    """The usable frames of one channel."""

    frames: list[NDArray[Any]]
    keys: list[FrameKey]
    last_id: int = 0
    refused: int = 0


class Trainer:
    """Runs the trainer process of one run.

    Parameters
    ----------
    run
        The run folder.
    settings
        Effective settings.
    parent
        The process that started this one.
    ingest
        Address of the recorder.
    """

    def __init__(self, run: RunFolder, settings: Settings, parent: Parent, *, ingest: str) -> None:
        self._run = run
        self._settings = _share_the_machine(settings)
        self._parent = parent
        self._ledger = LedgerReader(run.ledger)
        self._client = IngestClient(ingest, sender="trainer", keys=settings.security.keys)
        self._store: StoreReader | None = None
        self._collected: dict[int, _Collection] = {}
        self._done: set[int] = {c for c, v in self._ledger.verdicts().items() if not v.provisional}
        self._earlier = EarlierModels(run, settings, self._ledger, emit=self._emit)
        self._generation: Counter[int] = Counter()
        self._finishing = False

    def run(self) -> int:
        """Train every channel once; the exit status of the process."""
        self._parent.emit("ready")
        if not self._done:
            import quietscope.daemon.training_job  # noqa: F401 - takes seconds, while frames are still coming
        try:
            while not self._parent.gone.is_set():
                self._obey()
                channel = self._next_channel()
                if channel is not None:
                    self._train(channel)
                elif self._finishing:
                    break
            flushed = self._client.flush(30.0)
        finally:
            self._client.close()
            self._ledger.close()
        self._parent.emit("finished", **self._parent.memory())
        return 0 if flushed else 4

    def _obey(self) -> None:
        command = self._parent.command(timeout_s=_POLL_S)
        if command is None:
            return
        if command.get("command") == "finish":
            self._finishing = True
            # What was to be trained again keeps the model it has.
            self._done |= set(self._generation)
        elif command.get("command") == "retrain" and not self._finishing:
            self._start_again(int(command["channel"]))

    def _start_again(self, channel: int) -> None:
        """Collect frames of a channel that has a model, from now on."""
        if channel not in self._done:
            return
        self._generation[channel] += 1
        newest = self._ledger.newest_id(channel)
        self._collected[channel] = _Collection([], [], last_id=newest)
        self._done.discard(channel)

    def _next_channel(self) -> int | None:
        """Collect frames; the first channel that has enough, or has all it will ever get."""
        ready: int | None = None
        series = self._ledger.series()
        for channel in range(0 if series is None else len(series.channels)):
            if channel in self._done:
                continue
            held = self._collect(channel)
            if self._earlier.wants(channel, len(held.frames)):
                self._start_from_shelf(channel, held)
            enough = len(held.frames) >= self._settings.training.frames
            if ready is None and held.last_id and (enough or self._finishing):
                ready = channel
        return ready

    def _collect(self, channel: int) -> _Collection:
        held = self._collected.setdefault(channel, _Collection([], []))
        while len(held.frames) < self._settings.training.frames:
            found = self._ledger.frames(channel, after=held.last_id)
            for frame in found:
                if len(held.frames) < self._settings.training.frames:
                    self._look_at(held, frame)
            if not found or held.refused >= _LOOK_AT:
                break
        return held

    def _look_at(self, held: _Collection, frame: PendingFrame) -> None:
        held.last_id = frame.id
        pixels = self._read(frame.key)
        fault = unusable_reason(pixels)
        if fault is None:
            held.frames.append(pixels)
            held.keys.append(frame.key)
            return
        held.refused += 1
        self._parent.say("info", f"frame {frame.key} is not used for training: {fault}")

    def _read(self, key: FrameKey) -> NDArray[Any]:
        if self._store is None:
            self._store = StoreReader(self._run.root)
        return self._store.read("raw", key)

    def _start_from_shelf(self, channel: int, held: _Collection) -> None:
        """Let a model of an earlier run serve the channel until its own is trained, if it passes the gate."""
        from quietscope.daemon.training_job import TrainingJob

        name = self._channel_name(channel)
        job = TrainingJob(self._run.models, self._settings, self._emit, channel, name)
        judgement = self._earlier.start(job, channel, name, held.frames, held.keys)
        if judgement is not None:
            self._record(channel, judgement, {**judgement.figures, "channel_name": name})

    def _train(self, channel: int) -> None:
        from quietscope.daemon.training_job import Judgement, TrainingJob

        reach("trainer.train")
        self._done.add(channel)
        held = self._collected.pop(channel)
        name = self._channel_name(channel)
        generation = 1 + self._generation[channel]
        if generation > 1 and hasattr(os, "nice"):
            os.nice(max(0, _NICE - os.nice(0)))
        again = generation > 1 or self._earlier.serves(channel)
        started = time.monotonic()
        trust: dict[str, Any] = {}
        try:
            if not held.frames:
                msg = f"none of its {held.refused} frames is usable for training (empty, saturated or NaN)"
                raise RunError(msg)
            job = TrainingJob(
                self._run.models, self._settings, self._emit, channel, name, generation=generation
            )
            if self._settings.training.model is None or generation > 1:
                path, trained = job.train(held.frames, held.keys)
            else:
                path, trained = job.adopt(), None
            frames, keys, held_out = self._held_out(channel, held)
            judgement = job.judge(path, trained, frames, keys, held_out=held_out)
            judgement = self._earlier.compare(job, channel, judgement, frames, keys, held_out=held_out)
            if judgement.accepted and self._settings.trust.enabled:
                trust = {"trust": job.trust_reference(path, held.frames)}
                self._earlier.keep(channel, name, path, _plain({**judgement.figures, **trust}))
        except QuietscopeError as error:
            self._parent.say("error", f"{name}: no model, {error}")
            judgement = Judgement("", None, accepted=False, reason=str(error), figures={})
        figures = {
            **judgement.figures,
            **trust,
            "training_s": time.monotonic() - started,
            "channel_name": name,
            "trained_on": [list(key) for key in held.keys],
            **self._parent.memory(),
        }
        self._record(channel, judgement, figures)
        self._parent.emit(
            "verdict",
            channel=channel,
            name=name,
            accepted=judgement.accepted,
            again=again,
            reason=judgement.reason,
            figures=_plain(figures),
        )

    def _record(self, channel: int, judgement: "Judgement", figures: dict[str, Any]) -> None:
        self._client.send(
            "model",
            model_id=judgement.model_id,
            channel=channel,
            accepted=judgement.accepted,
            path=None if judgement.path is None else _relative(judgement.path, self._run.root),
            reason=judgement.reason,
            figures=_plain(figures),
        )
        self._client.flush(30.0)

    def _emit(self, event: str, **fields: Any) -> None:
        self._parent.emit(event, **fields, **self._parent.memory())

    def _held_out(self, channel: int, held: _Collection) -> tuple[list[NDArray[Any]], list[FrameKey], bool]:
        """Frames that the model has not seen; the training frames where there are no others."""
        frames, keys = [], []
        for frame in self._ledger.frames(channel, after=held.last_id, limit=_HELD_OUT):
            pixels = self._read(frame.key)
            if unusable_reason(pixels) is None:
                frames.append(pixels)
                keys.append(frame.key)
        if len(frames) >= 2:
            return frames, keys, True
        return held.frames[-_HELD_OUT:], held.keys[-_HELD_OUT:], False

    def _channel_name(self, channel: int) -> str:
        series = self._ledger.series()
        names = () if series is None else series.channels
        return names[channel] if channel < len(names) else f"channel {channel}"


def _share_the_machine(settings: Settings) -> Settings:
    """Leave half of the CPU to the processes that record and show, unless it is said how much to take."""
    if settings.training.threads:
        return settings
    threads = max(1, (os.cpu_count() or 2) // 2)
    return settings.model_copy(update={"training": settings.training.model_copy(update={"threads": threads})})


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _plain(value: Any) -> Any:
    """The same with numpy's numbers turned into Python's."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value
