"""A child process as its parent sees it: started, listened to, told, ended in bounded time."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["Child", "Event"]

Event = dict[str, Any]

_NEW_GROUP = 0x00000200  # CREATE_NEW_PROCESS_GROUP, which only exists on Windows


def _environment() -> dict[str, str]:
    """Environment of the children: unbuffered, UTF-8, and OpenMP threads that sleep while they wait.

    Spinning threads are fast alone, but beside any other busy process a training step on two cores was measured to
    take 0.8 s with spinning and 0.2–0.4 s with sleeping threads.
    """
    return {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}


class Child:
    """One child process.

    Parameters
    ----------
    name
        ``recorder``, ``processor`` or ``trainer``.
    arguments
        Command-line arguments behind ``python -m quietscope.daemon``.
    events
        Queue into which the child's events go; when the child has ended, ``{"event": "exit", …}``.
    errors
        File that collects the child's standard error.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], events: "queue.SimpleQueue[Event]", errors: Path
    ) -> None:
        self.name = name
        self._events = events
        self._lock = threading.Lock()
        # Ctrl-C goes to the whole foreground group: children have a group of their own, the parent tells them.
        own_group: dict[str, Any] = (
            {"creationflags": _NEW_GROUP} if os.name == "nt" else {"start_new_session": True}
        )
        with errors.open("ab") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "quietscope.daemon", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                env=_environment(),
                **own_group,
            )
        self._listener = threading.Thread(target=self._listen, name=f"listen-{name}", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def tell(self, command: str, **fields: Any) -> None:
        """Send a command; a child that is gone is not told."""
        assert self._process.stdin is not None
        with self._lock:
            try:
                self._process.stdin.write(json.dumps({"command": command, **fields}).encode() + b"\n")
                self._process.stdin.flush()
            except (OSError, ValueError):
                return  # its exit event says what there is to say

    def wait(self, timeout_s: float) -> int | None:
        """Exit status, or None if the process still runs after `timeout_s` seconds."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def release(self) -> None:
        """Close the pipe to the child: it finishes what is in its hands and exits."""
        assert self._process.stdin is not None
        with self._lock:
            try:
                self._process.stdin.close()
            except OSError:
                return

    def end(self, timeout_s: float) -> int:
        """Have the process ended within `timeout_s` seconds, by force if need be; its exit status."""
        self.release()
        status = self.wait(timeout_s)
        if status is None:
            self._process.kill()
            status = self._process.wait()
        self._listener.join(timeout=5)
        return status

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                try:
                    self._events.put(json.loads(line))
                except ValueError:
                    self._events.put(
                        {
                            "event": "log",
                            "from": self.name,
                            "level": "info",
                            "text": line.decode(errors="replace").strip(),
                        }
                    )
        self._events.put(
            {"event": "exit", "from": self.name, "status": self._process.wait(), "pid": self.pid}
        )
