"""The process that trains a channel again: on the newest stored frames, behind everything else, for one verdict.

The model in use goes on meanwhile, and for good if the new one is no better or this process dies.
"""

import time
from itertools import count
from typing import Any

from quietscope.adapters.frame import FrameKey, channel_name
from quietscope.adapters.ingest import IngestClient
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.config import QuietscopeError, RunError, Settings
from quietscope.config.faultpoints import reach
from quietscope.daemon.background_clock import BackgroundClock
from quietscope.daemon.judgement import Judgement
from quietscope.daemon.ledger_facts import ModelVerdict
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.newest_frames import Chosen, NewestFrames
from quietscope.daemon.parent import Parent, ParentGoneError
from quietscope.daemon.priority import step_back
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.training_share import training_share
from quietscope.daemon.verdict import deliver_verdict

__all__ = ["Retrainer"]

_POLL_S = 0.5
_LIFE_SIGN_S = 10.0
_PATIENCE_S = 7200.0


class Retrainer:
    """Trains one channel again.

    Parameters
    ----------
    run
        The run folder.
    settings
        Effective settings, with the method to train with.
    parent
        The process that started this one.
    ingest
        Address of the recorder.
    channel
        The channel's index.
    fresh
        Only on frames that come from now on.
    """

    def __init__(
        self, run: RunFolder, settings: Settings, parent: Parent, *, ingest: str, channel: int, fresh: bool
    ) -> None:
        step_back()
        self._run = run
        self._settings = training_share(settings)
        self._parent = parent
        self._channel = channel
        self._ledger = LedgerReader(run.ledger)
        self._store = StoreReader(run.root)
        self._client = IngestClient(ingest, sender="retrainer", keys=settings.security.keys)
        self._after = self._ledger.newest_id(channel) if fresh else 0
        self._least = self._settings.training.frames if fresh else 1
        self._sign_at = time.monotonic()

    def run(self) -> int:
        """Train, and deliver the verdict; the exit status of the process."""
        self._parent.emit("ready")
        try:
            self._train()
        except ParentGoneError:
            return 0
        finally:
            self._client.close()
            self._ledger.close()
        self._parent.emit("finished", **self._parent.memory())
        return 0

    def _train(self) -> None:
        reach("retrainer.train")
        from quietscope.daemon.training_job import TrainingJob
        from quietscope.models.hardware import choose_device

        on_cpu = choose_device(self._settings.training.device).type == "cpu"
        in_use = self._ledger.verdicts().get(self._channel)
        if in_use is not None and not in_use.accepted:
            in_use = None
        learned, held_out = self._gather(in_use)
        name = self._name
        job = TrainingJob(
            self._run.models,
            self._settings,
            self._emit,
            self._channel,
            name,
            generation=self._next_generation(),
            clock=BackgroundClock(self._settings.training.threads) if on_cpu else time.monotonic,
        )
        started = time.monotonic()
        trust: dict[str, Any] = {}
        try:
            path, trained = job.train(learned.pixels, learned.keys)
            judgement = job.judge(
                path,
                trained,
                held_out.pixels,
                held_out.keys,
                held_out=True,
                in_use=None if in_use is None or in_use.path is None else self._run.root / in_use.path,
            )
            if judgement.accepted and self._settings.trust.enabled:
                trust = {"trust": job.trust_reference(path, learned.pixels)}
        except QuietscopeError as error:
            self._parent.say("error", f"{name}: no new model, {error}")
            judgement = Judgement("", None, accepted=False, reason=str(error), figures={})
        figures = {
            **judgement.figures,
            **trust,
            "in_use": None if in_use is None else in_use.model_id,
            "training_s": time.monotonic() - started,
            "channel_name": name,
            "trained_on": [list(key) for key in learned.keys],
            **self._parent.memory(),
        }
        deliver_verdict(
            judgement,
            figures,
            self._channel,
            self._run,
            client=self._client,
            parent=self._parent,
            again=in_use is not None,
        )

    def _gather(self, in_use: ModelVerdict | None) -> tuple[Chosen, Chosen]:
        """Frames to learn from and frames to judge by; waits until there are enough."""
        trained_on = [] if in_use is None else in_use.figures.get("trained_on", [])
        newest = NewestFrames(
            self._ledger,
            self._store,
            self._channel,
            wanted=self._settings.training.frames,
            seen=[FrameKey(*key) for key in trained_on],
            after=self._after,
            least=self._least,
        )
        until = time.monotonic() + _PATIENCE_S
        while (found := newest.look()) is None:
            if time.monotonic() > until:
                hours = _PATIENCE_S / 3600
                msg = f"{self._name} has had too few usable new frames for {hours:g} hours; train it again later"
                raise RunError(msg)
            self._wait()
        return found

    def _wait(self) -> None:
        """Let time pass until there may be another frame."""
        command = self._parent.command(timeout_s=_POLL_S)
        if self._parent.gone.is_set() or (command is not None and command.get("command") == "finish"):
            raise ParentGoneError
        if time.monotonic() - self._sign_at > _LIFE_SIGN_S:
            self._sign_at = time.monotonic()
            self._parent.emit("status", **self._parent.memory())

    def _emit(self, event: str, **fields: Any) -> None:
        if self._parent.gone.is_set():
            raise ParentGoneError
        self._parent.emit(event, **fields, **self._parent.memory())

    @property
    def _name(self) -> str:
        series = self._ledger.series()
        return channel_name(() if series is None else series.channels, self._channel)

    def _next_generation(self) -> int:
        """A number whose file is not there yet: what a training that died has left is not written over either."""
        from quietscope.daemon.training_job import model_name

        return next(n for n in count(2) if not (self._run.models / model_name(self._channel, n)).exists())
