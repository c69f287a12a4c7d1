"""The trainer process: collects the first usable frames of each channel, trains, exports, judges, reports.

Channels take turns in the order in which they have enough frames. A restart begins with the channels that have no
verdict yet, since verdicts are in the ledger. Training a channel again is another process (`daemon/retrainer.py`).
"""

import time
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from quietscope.adapters.frame import FrameKey, channel_name
from quietscope.adapters.ingest import IngestClient
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.config import QuietscopeError, RunError, Settings
from quietscope.config.faultpoints import reach
from quietscope.daemon.earlier_model import EarlierModels
from quietscope.daemon.judgement import Judgement
from quietscope.daemon.ledger_facts import PendingFrame
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.parent import Parent, ParentGoneError
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.training_frames import HELD_OUT, LOOK_AT
from quietscope.daemon.training_share import training_share
from quietscope.daemon.verdict import deliver_verdict, plain, record_verdict
from quietscope.models.noise import unusable_reason

__all__ = ["Trainer"]

_POLL_S = 0.2
_STATUS_S = 2.0


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
        self._settings = training_share(settings)
        self._parent = parent
        self._ledger = LedgerReader(run.ledger)
        self._client = IngestClient(ingest, sender="trainer", keys=settings.security.keys)
        self._store: StoreReader | None = None
        self._collected: dict[int, _Collection] = {}
        self._done: set[int] = {c for c, v in self._ledger.verdicts().items() if not v.provisional}
        self._earlier = EarlierModels(run, self._settings, self._ledger, emit=self._emit)
        self._finishing = False
        self._status_at = 0.0

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
        except ParentGoneError:
            return 0  # nobody waits for the model: `resume` trains it
        finally:
            self._client.close()
            self._ledger.close()
        self._parent.emit("finished", **self._parent.memory())
        return 0 if flushed else 4

    def _obey(self) -> None:
        if time.monotonic() - self._status_at > _STATUS_S:
            # A trainer that waits for frames, or has done its work, must not be taken for one that hangs.
            self._parent.emit("status", **self._parent.memory())
            self._status_at = time.monotonic()
        command = self._parent.command(timeout_s=_POLL_S)
        if command is None:
            return
        if command.get("command") == "finish":
            self._finishing = True

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
            if not found or held.refused >= LOOK_AT:
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
            figures = {**judgement.figures, "channel_name": name}
            record_verdict(judgement, figures, channel, self._run, self._client)

    def _train(self, channel: int) -> None:
        from quietscope.daemon.training_job import TrainingJob

        reach("trainer.train")
        self._done.add(channel)
        held = self._collected.pop(channel)
        name = self._channel_name(channel)
        again = self._earlier.serves(channel)
        started = time.monotonic()
        adopts = self._settings.training.model is not None
        origin: dict[str, Any] = {}
        trust: dict[str, Any] = {}
        try:
            if not held.frames:
                msg = f"none of its {held.refused} frames is usable for training (empty, saturated or NaN)"
                raise RunError(msg)
            job = TrainingJob(self._run.models, self._settings, self._emit, channel, name)
            if adopts:
                (path, source), trained = job.adopt(), None
                origin = {"taken_from": str(source)}
            else:
                path, trained = job.train(held.frames, held.keys)
            frames, keys, held_out = self._held_out(channel, held)
            judgement = job.judge(path, trained, frames, keys, held_out=held_out)
            judgement = self._earlier.compare(job, channel, judgement, frames, keys, held_out=held_out)
            if judgement.accepted and self._settings.trust.enabled:
                trust = {"trust": job.trust_reference(path, held.frames)}
                self._earlier.keep(channel, name, path, plain({**judgement.figures, **trust}))
        except QuietscopeError as error:
            self._parent.say("error", f"{name}: no model, {error}")
            judgement = Judgement("", None, accepted=False, reason=str(error), figures={})
        figures = {
            **judgement.figures,
            **trust,
            **origin,
            "training_s": 0.0 if adopts else time.monotonic() - started,
            "channel_name": name,
            "trained_on": [list(key) for key in held.keys],
            **self._parent.memory(),
        }
        deliver_verdict(
            judgement, figures, channel, self._run, client=self._client, parent=self._parent, again=again
        )

    def _emit(self, event: str, **fields: Any) -> None:
        if self._parent.gone.is_set():
            raise ParentGoneError
        self._parent.emit(event, **fields, **self._parent.memory())

    def _held_out(self, channel: int, held: _Collection) -> tuple[list[NDArray[Any]], list[FrameKey], bool]:
        """Frames that the model has not seen; the training frames where there are no others."""
        frames, keys = [], []
        for frame in self._ledger.frames(channel, after=held.last_id, limit=HELD_OUT):
            pixels = self._read(frame.key)
            if unusable_reason(pixels) is None:
                frames.append(pixels)
                keys.append(frame.key)
        if len(frames) >= 2:
            return frames, keys, True
        return held.frames[-HELD_OUT:], held.keys[-HELD_OUT:], False

    def _channel_name(self, channel: int) -> str:
        series = self._ledger.series()
        return channel_name(() if series is None else series.channels, channel)
