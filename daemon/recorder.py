"""The recorder process: receives frames, keeps them, and only then tells anybody.

Kept small on purpose, without torch and onnxruntime: nothing that can crash belongs into the process that holds the
frames of an experiment which cannot be repeated.
"""

import threading
import time
from dataclasses import dataclass, field

from quietscope.adapters.frame import Frame, Series
from quietscope.adapters.ome_zarr import StoreWriter
from quietscope.adapters.protocols import Source
from quietscope.config import QuietscopeError, Settings
from quietscope.config.sources import RunSourceSettings
from quietscope.config.system import StopSettings
from quietscope.daemon.alarm import QueueAlarm
from quietscope.daemon.committer import Committer
from quietscope.daemon.ingest_server import IngestServer
from quietscope.daemon.intake import Intake
from quietscope.daemon.lag import Lag
from quietscope.daemon.ledger import EventRow, MetaRow
from quietscope.daemon.leftovers import Leftovers
from quietscope.daemon.parent import Parent
from quietscope.daemon.run_lock import RunLock
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.source import make_source
from quietscope.daemon.spool import Spool
from quietscope.daemon.vault import Vault

__all__ = ["Recorder"]

_STATUS_S = 0.5
_DRAIN_S = 3600.0


@dataclass
class _Life:
    """What ends the recorder's phases."""

    stop_source: threading.Event = field(default_factory=threading.Event)
    source_ended: threading.Event = field(default_factory=threading.Event)
    finish: threading.Event = field(default_factory=threading.Event)
    fatal: str | None = None
    source_failed: bool = False
    abandoned: bool = False
    reason: str = ""


class Recorder:
    """Runs the recorder process of one run.

    Parameters
    ----------
    run
        The run folder.
    settings
        Effective settings.
    parent
        The process that started this one.
    resume
        Finish a run that ended early: what it has left, and what it would still have received, is kept.
    follow
        With `resume`: go on watching the folder.
    """

    def __init__(
        self,
        run: RunFolder,
        settings: Settings,
        parent: Parent,
        *,
        resume: bool = False,
        follow: bool = False,
    ) -> None:
        self._run = run
        self._lock = RunLock(run, "recorder")
        self._lock.acquire()
        self._leftovers = Leftovers(run, settings.source, follow=follow) if resume else None
        self._follows = follow or not resume
        self._settings = settings
        self._parent = parent
        self._alarm = QueueAlarm()
        self._lag = Lag()
        self._life = _Life()
        if resume and not follow:
            self._life.reason = "resumed"
        limits = settings.recorder
        self._committer = Committer(run.ledger, wait_s=limits.commit_ms / 1e3, on_fatal=self._fatal)
        self._vault = Vault(
            limits,
            Spool(run.spool, int(limits.spool_mb * 1e6)),
            self._committer,
            on_fatal=self._fatal,
            on_trouble=lambda text: parent.say("warning", text),
        )
        self._intake = Intake(
            self._vault,
            self._committer,
            lambda series: StoreWriter(
                run.root, series, settings.store, resume=resume and (run.store / "zarr.json").is_file()
            ),
            announce=self._announce,
            announce_series=self._series_is_known,
            stop=settings.stop if self._leftovers is None or self._leftovers.receives else StopSettings(),
            block=settings.source.when_full == "block",
            on_fatal=self._fatal,
            on_reject=lambda name, reason, detail: parent.emit(
                "rejected", name=name, reason=reason, detail=detail
            ),
            known=() if self._leftovers is None else self._leftovers.known,
            known_rejected=() if self._leftovers is None else self._leftovers.rejected,
        )
        self._received_before = self._intake.received
        self._behind_s = 0.0
        try:
            self._server = IngestServer(
                limits.endpoint,
                self._intake,
                self._vault,
                self._committer,
                on_trouble=lambda text: parent.say("warning", text),
                security=settings.security,
            )
        except QuietscopeError:
            self._committer.close()
            raise

    def run(self) -> int:
        """Record until told to finish; the exit status of the process."""
        self._server.start()
        self._parent.emit("ready", endpoint=self._server.endpoint, news=self._server.news_endpoint)
        source = self._leftovers or make_source(self._settings.source)
        thread = None
        if source is not None:
            thread = threading.Thread(target=self._run_source, args=(source,), name="source")
            thread.start()
        announced = False
        status_at = 0.0
        while not self._life.finish.is_set() and self._life.fatal is None:
            self._obey()
            self._check_end(has_source=source is not None)
            if self._life.source_ended.is_set() and self._intake.ended.is_set() and not announced:
                announced = self._report_end_of_intake()
            received = self._intake.received - self._received_before
            self._behind_s = self._lag.update(received, self._vault.stored, time.monotonic())
            if time.monotonic() - status_at > _STATUS_S:
                self._report_status()
                status_at = time.monotonic()
        return self._shut_down(thread)

    def _run_source(self, source: Source) -> None:
        try:
            source.run(self._intake, self._life.stop_source)
            empty = not self._intake.received and not self._life.stop_source.is_set()
            # a run that died before its first frame is resumed to nothing, which is no fault
            if empty and self._leftovers is None:
                self._source_failed("the source holds no readable frame; give one with images in it")
            self._life.reason = self._life.reason or "source ended"
        except QuietscopeError as error:
            self._parent.say("error", f"the source ended with an error: {error}")
            self._source_failed(f"source failed: {error}")
        except Exception as error:  # noqa: BLE001 - whatever a source does, what was received must be finished
            self._parent.say("error", f"the source failed unexpectedly: {error!r}")
            self._source_failed(f"source failed: {error!r}")
        finally:
            self._intake.end()
            self._life.source_ended.set()

    def _source_failed(self, reason: str) -> None:
        self._life.source_failed = True
        self._life.reason = reason

    def _obey(self) -> None:
        command = self._parent.command(timeout_s=0.05)
        if self._parent.gone.is_set():
            self._life.abandoned = self._life.abandoned or not self._life.source_ended.is_set()
            self._life.reason = self._life.reason or "the process that started the recorder is gone"
            self._life.stop_source.set()
            self._life.finish.set()
        if command is None:
            return
        match command.get("command"):
            case "stop":
                # Of an earlier run the rest can still be taken; a folder delivers all that is there before it ends.
                unfinished = not self._follows or isinstance(self._settings.source, RunSourceSettings)
                self._life.abandoned = unfinished and not self._life.source_ended.is_set()
                self._life.reason = self._life.reason or str(command.get("reason", "stopped"))
                self._life.stop_source.set()
            case "event":
                self._committer.put(EventRow(str(command["level"]), str(command["text"])))
            case "finish":
                self._life.finish.set()
            case other:
                self._parent.say("warning", f"recorder: unknown command {other!r}")

    def _check_end(self, *, has_source: bool) -> None:
        life, intake = self._life, self._intake
        idle_s = self._settings.stop.idle_s
        if (
            idle_s is not None
            and self._follows
            and intake.last_arrival is not None
            and time.monotonic() - intake.last_arrival > idle_s
            and not life.stop_source.is_set()
        ):
            life.reason = life.reason or f"no new frame for {idle_s:g} s"
            life.stop_source.set()
        if intake.ended.is_set() and not life.stop_source.is_set():
            life.reason = life.reason or (
                f"{intake.received} frames received"
                if self._settings.stop.frames
                else "the sender ended the series"
            )
            life.stop_source.set()
        if life.stop_source.is_set() and not has_source:
            intake.end()
            life.source_ended.set()

    def _report_end_of_intake(self) -> bool:
        """Tell the parent once everything that was received is committed."""
        if not self._vault.drain(0.2):
            return False
        self._parent.emit(
            "intake_ended",
            reason=self._life.reason,
            source_failed=self._life.source_failed,
            received=self._intake.received,
            peak_ring_mb=self._vault.ring.peak_nbytes / 1e6,
            spooled=self._vault.spooled,
        )
        return True

    def _report_status(self) -> None:
        ring = self._vault.ring
        share = ring.nbytes / ring.capacity
        if (news := self._alarm.update(share, self._vault.spooled)) is not None:
            self._parent.say(*news)
            self._parent.emit("alarm", percent=self._alarm.percent)
        # A source that waits until there is room keeps the memory full: that says nothing about how late pictures are.
        waits = self._settings.source.when_full == "block"
        self._server.announce_load(0.0 if waits else self._behind_s)
        self._parent.emit(
            "status",
            received=self._intake.received,
            rejected=dict(self._intake.rejected),
            ring_mb=ring.nbytes / 1e6,
            ring_free_mb=max(0, ring.capacity - ring.nbytes) / 1e6,
            ring_share=share,
            stored=self._vault.stored,
            behind_s=self._behind_s,
            disordered=self._intake.disordered,
            spooled=self._vault.spooled,
            refused=self._server.refused,
            **self._parent.memory(),
        )

    def _announce(self, frame: Frame) -> None:
        self._server.announce_frame(frame)

    def _series_is_known(self, series: Series) -> None:
        self._server.announce_series(series)
        self._parent.emit(
            "series", channels=list(series.channels), shape=[series.height, series.width], dtype=series.dtype
        )

    def _fatal(self, text: str) -> None:
        if self._life.fatal is None:  # a full disk is one fault, not one for each frame
            self._life.fatal = text
            self._parent.emit("fatal", text=text)

    def _shut_down(self, source_thread: threading.Thread | None) -> int:
        life = self._life
        life.stop_source.set()
        self._intake.end()
        drained = life.fatal is None and self._vault.drain(_DRAIN_S)
        self._vault.close()
        if source_thread is not None:
            source_thread.join(timeout=10)
        if self._leftovers is not None and drained and life.fatal is None:
            self._leftovers.clear()
        before = 0 if self._leftovers is None else self._leftovers.received
        self._committer.put(MetaRow("received", max(before, self._intake.received)))
        complete = life.fatal is None and not life.source_failed and not life.abandoned
        self._committer.put(MetaRow("source_complete", complete))
        self._committer.put(MetaRow("exit_reason", life.reason))
        if life.fatal is not None:
            self._committer.put(EventRow("fatal", life.fatal))
        self._server.close()
        self._committer.close()
        if self._intake.store is not None:
            try:
                if self._intake.series is not None:
                    self._intake.store.set_channels(self._intake.series.channels)
                self._intake.store.finish(self._intake.extent, interval_s=self._intake.interval_s)
            except QuietscopeError as error:
                self._parent.emit("fatal", text=f"the store could not be completed: {error}")
                life.fatal = str(error)
        self._lock.release()
        self._parent.emit("finished", received=self._intake.received, **self._parent.memory())
        return 0 if life.fatal is None else 3
