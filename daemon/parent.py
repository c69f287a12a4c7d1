"""The pipe between a child process and the process that started it: JSON lines, one object per line.

Events go out on standard output, commands come in on standard input. End-of-file on standard input means that
the parent is gone; a child then finishes what is in its hands and exits.
"""

import json
import os
import queue
import sys
import threading
from typing import Any

import psutil

__all__ = ["Parent", "ParentGoneError"]


class ParentGoneError(Exception):
    """The parent has gone, or has no use for what was being done any more."""


class Parent:
    """Speaks to the parent process.

    Parameters
    ----------
    name
        Name of this child, in every event.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._peak = 0
        self.gone = threading.Event()
        # Libraries may print: their words go to standard error, events alone to the real standard output.
        self._out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        threading.Thread(target=self._listen, name="parent", daemon=True).start()

    def emit(self, event: str, **fields: Any) -> None:
        """Send an event; a vanished parent is noted, never raised."""
        line = json.dumps({"event": event, "from": self._name, **fields}, default=str)
        with self._lock:
            try:
                self._out.write(line + "\n")
            except (OSError, ValueError):
                self.gone.set()

    def say(self, level: str, text: str) -> None:
        """Send something in words to the run's log."""
        self.emit("log", level=level, text=text)

    def command(self, *, timeout_s: float = 0.0) -> dict[str, Any] | None:
        """Next command, or None if none came within `timeout_s` seconds."""
        try:
            return self._commands.get(timeout=timeout_s) if timeout_s > 0 else self._commands.get_nowait()
        except queue.Empty:
            return None

    def memory(self) -> dict[str, float]:
        """Resident memory of this process now and at its highest observed, megabytes."""
        now = psutil.Process().memory_info().rss
        self._peak = max(self._peak, now)
        return {"rss_mb": now / 1e6, "peak_rss_mb": self._peak / 1e6}

    def _listen(self) -> None:
        for line in sys.stdin:
            try:
                self._commands.put(json.loads(line))
            except ValueError:
                self.say("warning", f"{self._name}: not a command: {line[:100]!r}")
        self.gone.set()
