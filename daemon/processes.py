"""The processes of a run: started with what they need to know, told what to do, watched for silence, ended."""

import queue
import time
from typing import Any

from quietscope.daemon.child import Child, Event
from quietscope.daemon.runfolder import RunFolder

__all__ = ["Processes"]

_END_S = 30.0
_KILL_S = 2.0


class Processes:
    """The engine's children by name, and the addresses that they tell each other.

    Parameters
    ----------
    run
        The run folder.
    events
        Queue into which the children's events go.
    resume
        Whether the run existed before.
    follow
        With `resume`: whether it goes on watching its folder.
    """

    def __init__(
        self, run: RunFolder, events: "queue.SimpleQueue[Event]", *, resume: bool, follow: bool
    ) -> None:
        self._run = run
        self._events = events
        self._recording = ("--resume", str(int(resume)), "--follow", str(int(follow)))
        self._children: dict[str, Child] = {}
        self._heard: dict[str, float] = {}
        self.addresses: dict[str, str] = {}
        """What the processes listen on: ``ingest``, ``news``, ``control``, ``publish``."""

    def start(self, name: str, *options: str) -> None:
        """Start a process, or start it again."""
        arguments = [name, str(self._run.root)]
        if name == "recorder":
            arguments += self._recording
        else:
            arguments += ["--ingest", self.addresses["ingest"]]
        if name == "processor":
            arguments += ["--news", self.addresses["news"]]
            if "publish" in self.addresses:
                # Viewers reconnect by themselves, provided that the address stays.
                arguments += ["--publish", self.addresses["publish"]]
        if name in self._children:
            self._children[name].release()
        self._heard[name] = time.monotonic()
        arguments += options
        self._children[name] = Child(name, arguments, self._events, self._run.child_errors(name))

    def is_alive(self, name: str) -> bool:
        """Whether a process of this name was started and runs."""
        return name in self._children and self._children[name].is_alive

    def is_current(self, name: str, pid: int) -> bool:
        """Whether the process of this name is the one with this id, and not one that was started before it."""
        return self._children[name].pid == pid

    def tell(self, name: str, command: str, **fields: Any) -> bool:
        """Send a command to a process; whether it is alive."""
        alive = self._children[name].is_alive
        self._children[name].tell(command, **fields)
        return alive

    def hear(self, name: str) -> None:
        """Note that a process has said something."""
        self._heard[name] = time.monotonic()

    def silent(self, seconds: float) -> list[str]:
        """Processes that run and have said nothing for so long; they count as heard then."""
        now = time.monotonic()
        found = [
            n for n, child in self._children.items() if child.is_alive and now - self._heard[n] > seconds
        ]
        self._heard.update(dict.fromkeys(found, now))
        return found

    def kill(self, name: str) -> None:
        """End a process at once, if it was started; its end is told as any other."""
        if name in self._children:
            self._children[name].end(0.0)

    def end_all(self) -> None:
        """End what runs: after a good run nothing does; else only the recorder holds something that may be lost."""
        for child in self._children.values():
            child.release()
        for name, child in self._children.items():
            child.end(_END_S if name == "recorder" else _KILL_S)

    def write_addresses(self) -> None:
        """Write addresses and process ids into the run folder, for viewers and other programs."""
        pids = {name: child.pid for name, child in self._children.items()}
        self._run.write_endpoints({**self.addresses, "pids": pids})
