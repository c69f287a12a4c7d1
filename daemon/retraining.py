"""Training again while the model in use serves: whose turn it is, and how often a run may do it by itself."""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from quietscope.config import RunError
from quietscope.config.methods import Method
from quietscope.config.science import DriftSettings

__all__ = ["Retraining", "Task"]


@dataclass(frozen=True)
class Task:
    """One training to be done.

    Parameters
    ----------
    channel, name
        The channel's index and name.
    method
        What to train with.
    fresh
        Only on frames that come from now on, since the earlier ones show something else.
    """

    channel: int
    name: str
    method: Method
    fresh: bool = False


class Retraining:
    """Lets one channel at a time be trained again, in a process of its own.

    Parameters
    ----------
    settings
        What is done about drift.
    begin
        Starts the process for a task.
    record
        Called with a level and words that belong into the ledger.
    """

    def __init__(
        self,
        settings: DriftSettings,
        *,
        begin: Callable[[Task], None],
        record: Callable[[str, str], None],
    ) -> None:
        self._settings = settings
        self._begin = begin
        self._record = record
        self._waiting: deque[Task] = deque()
        self._now: Task | None = None
        self._used = 0.0
        self._by_itself: Counter[int] = Counter()
        self._last: dict[int, float] = {}
        self._told: set[str] = set()

    @property
    def now(self) -> Task | None:
        """What is being trained."""
        return self._now

    @property
    def figures(self) -> dict[str, Any]:
        """What is being trained, how far it is, and who waits; JSON-able."""
        now = self._now
        return {
            "retraining": None
            if now is None
            else {"channel": now.channel, "name": now.name, "method": now.method, "used": self._used},
            "waiting_to_train": [task.channel for task in self._waiting],
        }

    def ask(self, task: Task) -> None:
        """Train as soon as it is the task's turn.

        Raises
        ------
        quietscope.config.RunError
            If the channel is being trained already, or waits for it.
        """
        if task.channel in {t.channel for t in (self._now, *self._waiting) if t is not None}:
            msg = f"{task.name} is being trained again already; wait until the log says how that has ended"
            raise RunError(msg)
        self._waiting.append(task)
        self._next()

    def progress(self, used: float) -> None:
        """Note how much of its budget the training has used, 0 to 1."""
        self._used = used

    def on_drift(self, task: Task, model_id: str, drift: str, command: str) -> None:
        """The specimen is no longer what the model was trained on: offer to train again, or do it.

        Parameters
        ----------
        task
            What would be done.
        model_id
            The model in use.
        drift
            What has changed, in words.
        command
            How a person has it done.
        """
        changed = f"{task.name} is no longer what its model was trained on: {drift}"
        if self._settings.retrain == "offer":
            self._once(
                f"offer {model_id}",
                f"{changed}. For a model that fits, train it again in the viewer or with: {command}",
            )
            return
        now = time.monotonic()
        if now - self._last.get(task.channel, float("-inf")) < self._settings.apart_s:
            return
        if self._by_itself[task.channel] >= self._settings.most:
            times = self._by_itself[task.channel]
            self._once(
                f"enough {task.channel}",
                f"{changed}. It has been trained again {times} times by itself and is no more "
                f"(drift.most = {self._settings.most}); do it with: {command}",
            )
            return
        try:
            self.ask(task)
        except RunError:
            return  # it is being trained already
        self._by_itself[task.channel] += 1
        self._last[task.channel] = now
        self._record("warning", f"{task.name} is trained again by itself: {drift}")

    def on_exit(self, status: int, words: str) -> None:
        """The process has ended; whatever became of it, the next one may begin."""
        now, self._now = self._now, None
        if status and now is not None:
            self._record("error", f"training {now.name} again has failed{words}; nothing else has changed")
        self._next()

    def stop(self) -> None:
        """No further training; what was under way is broken off by whoever owns the process."""
        broken_off = [task.name for task in (self._now, *self._waiting) if task is not None]
        self._waiting.clear()
        self._now = None
        if broken_off:
            self._record(
                "warning", f"training {', '.join(broken_off)} again is broken off, since no more frames come"
            )

    def _next(self) -> None:
        while self._now is None and self._waiting:
            self._now, self._used = self._waiting.popleft(), 0.0
            try:
                self._begin(self._now)
            except OSError as error:  # no memory, no processes, no disk space: recording goes on
                text = f"training {self._now.name} again could not begin: {error}; nothing else has changed"
                self._now = None
                self._record("error", text)

    def _once(self, what: str, text: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._record("warning", text)
