"""Reads the run's log as it grows."""

import json
from pathlib import Path
from typing import Any

__all__ = ["LogTail"]

_AT_FIRST = 16_000_000
_AT_ONCE = 4_000_000


class LogTail:
    """Gives the events of ``log.jsonl`` that have been added since the last call.

    Of a very long log only the last 16 MB are read, so that opening it takes bounded time and memory.

    Parameters
    ----------
    path
        The file; it may come later.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset: int | None = None

    def new_events(self) -> list[dict[str, Any]]:
        """Events in order; a line that is being written is left for the next call."""
        try:
            with self._path.open("rb") as file:
                if self._offset is None:
                    size = file.seek(0, 2)
                    self._offset = max(0, size - _AT_FIRST)
                file.seek(self._offset)
                text = file.read(_AT_ONCE)
        except OSError:
            return []
        whole = text.rfind(b"\n") + 1
        self._offset += whole
        return [event for line in text[:whole].splitlines() if (event := _event(line)) is not None]


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None  # the first line of a cut log is not whole
    return event if isinstance(event, dict) and "event" in event else None
