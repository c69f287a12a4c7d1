"""Obeys what comes over the control wire, and decides what is done when a specimen has changed."""

from collections.abc import Callable
from typing import Any, Protocol

from quietscope.adapters.control import Answer, Request
from quietscope.adapters.control_server import ControlServer
from quietscope.config import RunError, Settings
from quietscope.config.methods import METHOD_NAMES
from quietscope.daemon.child import Event
from quietscope.daemon.event_words import words_of
from quietscope.daemon.retraining import Retraining, Task
from quietscope.daemon.runfolder import RunFolder
from quietscope.daemon.standing import Standing

__all__ = ["Commander", "Crew"]

_TOLD = 20


class Crew(Protocol):
    """What the engine can do for a commander."""

    def tell(self, name: str, command: str, **fields: Any) -> bool:
        """Send a command to a process; whether it is alive."""

    def begin(self, task: Task) -> None:
        """Start the process that trains again."""

    def say(self, level: str, text: str) -> None:
        """Write words into the log and show them."""


class Commander:
    """The engine's ear for people.

    Parameters
    ----------
    settings
        Effective settings.
    run
        The run folder.
    crew
        What the engine can do.
    put
        Takes an event into the engine's queue, from any thread.

    Raises
    ------
    quietscope.config.QuietscopeError
        If the address of the control wire cannot be opened.
    """

    def __init__(self, settings: Settings, run: RunFolder, crew: Crew, put: Callable[[Event], None]) -> None:
        self._settings = settings
        self._run = run
        self._crew = crew
        self._standing = Standing()
        self._retraining = Retraining(settings.drift, begin=crew.begin, record=self._record)
        self._complaints = 0
        self._last_words = ""
        self._recording = True
        self._pause_wanted = False
        self._server = ControlServer(
            settings.control,
            keys=settings.security.keys,
            on_request=lambda number, request: put(
                {"event": "control", "number": number, "request": request}
            ),
            on_rejected=lambda text: put({"event": "control", "rejected": text}),
        )
        self.endpoint = self._server.endpoint

    def close(self) -> None:
        """Hear nobody any more."""
        self._server.close()

    def hear(self, event: Event, phase: str) -> None:
        """Answer what has come over the wire, an event that this commander has put into the queue."""
        if "rejected" in event:
            self._complain(str(event["rejected"]))
            return
        request: Request = event["request"]
        try:
            ok, text = True, self._obey(request, phase)
        except RunError as error:
            ok, text = False, str(error)
        self._server.answer(event["number"], Answer(ok=ok, text=text, status=self._status(phase)))

    def take(self, event: Event) -> None:
        """Take an event of a process."""
        self._standing.take(event)
        match event["event"], event.get("from"):
            case "denoising", _:
                self._keep(event)
            case "verdict", "retrainer":
                self._keep(event)
            case "training", "retrainer":
                self._retraining.progress(float(event["used"]))
            case "drift", _ if self._recording:
                self._on_drift(event)
            case "ready", "processor" if self._pause_wanted:
                self._crew.tell("processor", "pause")  # one that was started again goes on where it was
            case "exit", "retrainer" if self._recording:
                status = int(event["status"])
                self._retraining.on_exit(status, self._run.last_words("retrainer") if status else "")
            case _:
                pass

    def end_recording(self) -> None:
        """No more frames come: nothing is trained again, and what a pause has left out is made up for."""
        self._recording = False
        self._retraining.stop()

    def _obey(self, request: Request, phase: str) -> str:
        match request.command:
            case "status":
                return f"the run is {phase}"
            case "retrain":
                return self._retrain(request)
            case command:
                return self._pause(pause=command == "pause")

    def _retrain(self, request: Request) -> str:
        self._must_record("a channel is trained again")
        method = request.method or self._settings.method
        names, refused = [], []
        for channel in self._standing.channels(request.channel):
            task = Task(channel, self._standing.name(channel), method)
            try:
                if not self._standing.is_judged(channel):
                    msg = f"the first training of {task.name} has not ended; wait for it"
                    raise RunError(msg)  # noqa: TRY301 - all that speaks against a channel is told alike
                self._retraining.ask(task)
                names.append(task.name)
            except RunError as error:
                refused.append(str(error))
        if not names:
            raise RunError("; ".join(refused))
        text = (
            f"{', '.join(names)}: a new model is trained ({METHOD_NAMES[method]}); "
            "until it has proved better, nothing changes"
        )
        self._record("info", text)
        return "; ".join([text, *refused])

    def _pause(self, *, pause: bool) -> str:
        self._must_record("denoising can be paused")
        if pause == self._pause_wanted:
            return "denoising is paused already" if pause else "denoising is not paused"
        if not self._crew.tell("processor", "pause" if pause else "continue"):
            raise RunError("the process that denoises has ended; raw frames are recorded all the same")
        self._pause_wanted = pause
        return "denoising pauses; raw frames are recorded all the same" if pause else "denoising goes on"

    def _must_record(self, what: str) -> None:
        if not self._recording:
            msg = f"{what} only while frames come, and the run is being finished"
            raise RunError(msg)

    def _on_drift(self, event: Event) -> None:
        channel = int(event["channel"])
        if not self._standing.is_judged(channel):
            return  # a model of this run's own is under way
        name = self._standing.name(channel)
        self._retraining.on_drift(
            Task(channel, name, self._settings.method, fresh=True),
            str(event["model_id"]),
            str(event["text"]),
            f'quietscope control "{self._run.root}" retrain --channel {channel}',
        )

    def _status(self, phase: str) -> dict[str, Any]:
        return {
            "run": self._run.root.name,
            "phase": phase,
            **self._standing.figures,
            **self._retraining.figures,
            "last_words": self._last_words,
            "refused": self._server.refused,
            "rejected": self._server.rejected,
        }

    def _complain(self, text: str) -> None:
        """Say what came and was no request; if it goes on, only the count in `status` grows."""
        self._complaints += 1
        if self._complaints <= _TOLD:
            more = " (further ones are only counted)" if self._complaints == _TOLD else ""
            self._record("warning", f"a message on the control wire was refused: {text}{more}")

    def _keep(self, event: Event) -> None:
        """Put an event's words, which the log has, into the ledger."""
        words = words_of(event)
        if words is not None:
            self._last_words = words.text
            self._crew.tell("recorder", "event", level=words.level, text=words.text)

    def _record(self, level: str, text: str) -> None:
        self._last_words = text
        self._crew.say(level, text)
        self._crew.tell("recorder", "event", level=level, text=text)
