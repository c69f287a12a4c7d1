"""The supervisor: starts the three processes of a run, restarts what may die, and brings every run to an end.

::

    STARTING ─► RECORDING ─► TRAINING ─► FILLING ─► FINISHING ─► ENDED
                (intake)    (what is    (back-     (trim,
                             there)      fill)      close)

A dead processor or trainer is started again a bounded number of times, and recording goes on without it; a dead
recorder ends the run loudly.
"""

import queue
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from quietscope.adapters.endpoints import local_endpoint
from quietscope.config import RunError, Settings
from quietscope.config.loader import settings_to_toml
from quietscope.config.micromanager import MicroManagerSettings
from quietscope.daemon.child import Event
from quietscope.daemon.commander import Commander
from quietscope.daemon.ending import Ending
from quietscope.daemon.processes import Processes
from quietscope.daemon.retraining import Task
from quietscope.daemon.run_lock import RunLock
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.runlog import RunLog
from quietscope.daemon.software import software

__all__ = ["Engine", "Phase"]

_START_S = 120.0
_SILENCE_S = 300.0
_END_S = 30.0


class Phase(StrEnum):
    """Where a run is."""

    STARTING = "starting"
    RECORDING = "recording"
    TRAINING = "training on what is there"
    FILLING = "filling the store up"
    FINISHING = "finishing"
    ENDED = "ended"


class Engine:
    """Runs one run from start to end, in the calling thread.

    Parameters
    ----------
    settings
        Effective settings.
    on_event
        Called with every event of every process.
    resume
        An existing run to be finished; none starts a new one.
    follow
        With `resume`: go on watching the run's folder.

    Raises
    ------
    quietscope.config.RunError
        If the run folder exists already or cannot be made, or another process is at work on it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        on_event: Callable[[Event], None],
        resume: RunFolder | None = None,
        follow: bool = False,
    ) -> None:
        self._settings = settings
        self._resume = resume is not None
        self._on_event = on_event
        # SimpleQueue.put may be called again while it runs, which a signal handler does; Queue.put may not.
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._restarts = {"processor": settings.processor.max_restarts, "trainer": 1}
        self._stops = 0
        self._camera_by: float | None = None
        self._commander: Commander | None = None
        self.phase = Phase.STARTING
        self.ending = Ending()
        self.run_folder = resume or RunFolder.create(settings.out, settings.name)
        self._processes = Processes(self.run_folder, self._events, resume=self._resume, follow=follow)
        self._lock = RunLock(self.run_folder)
        self._lock.acquire()
        if resume is None:
            self.run_folder.settings.write_text(settings_to_toml(settings), encoding="utf-8")
        self._log = RunLog(self.run_folder.log)
        self._log.write({"event": "software", "from": "engine", "versions": software()})

    def stop(self, reason: str = "stopped by the user") -> None:
        """Ask the run to end; the second time it ends at once. May be called from a signal handler."""
        self._stops += 1
        self._events.put({"event": "stop", "from": "user", "reason": reason, "at_once": self._stops > 1})

    def run(self) -> Ending:
        """Run to the end."""
        try:
            self._start()
            while self.phase is not Phase.ENDED:
                try:
                    event = self._events.get(timeout=0.25)
                except queue.Empty:
                    event = None
                if event is not None and event["event"] == "control" and self._commander is not None:
                    self._commander.hear(event, self.phase)
                elif event is not None:
                    self._processes.hear(event.get("from", ""))
                    self._log.write(event)
                    self._on_event(event)
                    self._handle(event)
                self._watch()
        finally:
            if self._commander is not None:
                self._commander.close()
            self._processes.end_all()
            self._log.close()
            self._lock.release()
        return self.ending

    def _start(self) -> None:
        self._processes.start("recorder")
        ready = self._await_ready("recorder")
        self._commander = Commander(self._settings, self.run_folder, self, self._events.put)
        self._processes.addresses |= {
            "ingest": local_endpoint(ready["endpoint"]),
            "news": local_endpoint(ready["news"]),
            "control": self._commander.endpoint,
        }
        self.phase = Phase.RECORDING
        self._processes.start("processor")
        self._processes.start("trainer")
        if isinstance(self._settings.source, MicroManagerSettings) and not self._resume:
            self._processes.start("camera")

    def _await_ready(self, name: str) -> Event:
        deadline = time.monotonic() + _START_S
        stop: Event | None = None
        while time.monotonic() < deadline:
            try:
                event = self._events.get(timeout=0.25)
            except queue.Empty:
                continue
            if event["event"] == "stop":
                stop = event
                continue
            self._log.write(event)
            self._on_event(event)
            if event["event"] == "ready":
                if stop is not None:
                    self._events.put(stop)
                return event
            if event["event"] == "exit":
                break
        words = self.run_folder.last_words(name) or ", no answer within two minutes"
        msg = f"the {name} did not start{words} (see {self.run_folder.child_errors(name)})"
        raise RunError(msg)

    def _handle(self, event: Event) -> None:
        if self._commander is not None:
            self._commander.take(event)
        match event["event"], event.get("from"):
            case "stop", _:
                self._on_stop(str(event["reason"]))
            case "ready", "processor":
                self._processes.addresses["publish"] = event["endpoint"]
                self._processes.write_addresses()
            case "intake_ended", _:
                self._on_intake_ended(event)
            case "fatal", _:
                self.ending.faults.append(str(event["text"]))
            case "exit", name:
                self._on_exit(str(name), event)
            case _:
                pass

    def _on_stop(self, reason: str) -> None:
        if self._stops > 1:
            self.ending.reason = "aborted by the user"
            self.ending.faults.append(
                f"the run was aborted; finish it with: quietscope resume {self.run_folder.quoted}"
            )
            self.phase = Phase.ENDED
        elif self.phase is Phase.RECORDING:
            self.ending.reason = reason
            # A camera process delivers what Micro-Manager has, and then says that nothing more will come.
            camera = self._processes.is_alive("camera")
            self._camera_by = time.monotonic() + _END_S if camera else None
            self.tell("camera" if camera else "recorder", "stop", reason=reason)

    def _on_intake_ended(self, event: Event) -> None:
        self.ending.reason = self.ending.reason or str(event["reason"])
        if event["source_failed"]:
            self.ending.faults.append(str(event["reason"]))
        self.phase = Phase.TRAINING
        self._processes.kill("retrainer")
        if self._commander is not None:
            self._commander.end_recording()
        if self._processes.is_alive("camera"):
            self.tell("camera", "stop")
        if not self.tell("trainer", "finish"):
            self._begin_filling()

    def tell(self, name: str, command: str, **fields: Any) -> bool:
        """Send a command to a process; whether it is alive."""
        return self._processes.tell(name, command, **fields)

    def begin(self, task: Task) -> None:
        """Start the process that trains a channel again."""
        options = ("--channel", str(task.channel), "--method", task.method, "--fresh", str(int(task.fresh)))
        self._processes.start("retrainer", *options)
        self._processes.write_addresses()

    def _begin_filling(self) -> None:
        self.phase = Phase.FILLING
        if not self.tell("processor", "drain", untrainable="training"):
            self._begin_finishing()

    def _begin_finishing(self) -> None:
        self.phase = Phase.FINISHING
        self.tell("recorder", "finish")

    def _on_exit(self, name: str, event: Event) -> None:
        if not self._processes.is_current(name, event["pid"]):
            return
        match name:
            case "recorder":
                if self.phase is not Phase.FINISHING:
                    self.ending.reason = self.ending.reason or "the recorder died"
                    self.ending.faults.append(
                        f"the recorder ended unexpectedly (status {event['status']}); what is in the ledger is safe,"
                        f" see {self.run_folder.child_errors(name)}"
                    )
                elif event["status"]:
                    self.ending.faults.append(f"the recorder ended with status {event['status']}")
                self.phase = Phase.ENDED
            case "processor":
                done = event["status"] == 0 and self.phase is Phase.FILLING
                if done or (not self._revive(name, event) and self.phase is Phase.FILLING):
                    self._begin_finishing()
            case "trainer":
                if event["status"] and self._revive(name, event):
                    return
                if self.phase is Phase.TRAINING:
                    self._begin_filling()
            case "camera":
                self._on_camera_exit(event)
            case _:
                pass

    def _on_camera_exit(self, event: Event) -> None:
        self._camera_by = None
        if event["status"]:
            words = self.run_folder.last_words("camera")
            self.ending.faults.append(f"the acquisition failed (status {event['status']}){words}")
        if self.phase is Phase.RECORDING:
            self.tell("recorder", "stop", reason="the acquisition has ended")

    def _revive(self, name: str, event: Event) -> bool:
        what = f"the {name} died (status {event['status']}){self.run_folder.last_words(name)}"
        if self._restarts[name] <= 0:
            self.say("error", f"{what}; it is not started again, raw frames are recorded all the same")
            if name == "processor":
                self.ending.faults.append(f"{what}; it is not started again")
            return False
        self._restarts[name] -= 1
        self.say("warning", f"the {name} is started again: {what}")
        self._processes.start(name)
        if name == "trainer" and self.phase is Phase.TRAINING:
            self.tell(name, "finish")
        if name == "processor" and self.phase is Phase.FILLING:
            self.tell(name, "drain", untrainable="training")
        return True

    def _watch(self) -> None:
        """End a process that has said nothing for long; its end is handled as any other."""
        for name in self._processes.silent(_SILENCE_S):
            self.say("error", f"the {name} has said nothing for {_SILENCE_S:.0f} s and is ended")
            self._processes.kill(name)
        if self._camera_by is not None and time.monotonic() > self._camera_by:
            self._camera_by = None
            self.say(
                "error",
                f"Micro-Manager has not stopped within {_END_S:.0f} s; its frames are taken no longer",
            )
            self._processes.kill("camera")

    def say(self, level: str, text: str) -> None:
        """Write words into the log and show them."""
        event = {"event": "log", "from": "engine", "level": level, "text": text}
        self._log.write(event)
        self._on_event(event)
