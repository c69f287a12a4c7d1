"""The run's log: one JSON object per line, written by the supervising process alone."""

import json
import time
from pathlib import Path
from typing import Any

__all__ = ["RunLog"]


class RunLog:
    """Appends events to ``log.jsonl``.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def write(self, event: dict[str, Any]) -> None:
        """Append an event; a full disk does not stop a run for the sake of its log."""
        try:
            self._file.write(json.dumps({"time_ns": time.time_ns(), **event}, default=str) + "\n")
        except (OSError, ValueError):
            return

    def close(self) -> None:
        """Close the file."""
        self._file.close()
