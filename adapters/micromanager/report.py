"""How handing over went: counts, and every fault once, in plain words."""

import logging
import threading
from dataclasses import dataclass, replace

__all__ = ["Journal", "Report"]

_LOG = logging.getLogger("quietscope.micromanager")


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the frames that Micro-Manager handed over.

    Parameters
    ----------
    seen
        Frames that came from Micro-Manager.
    stored
        Planes that quietscope has on disk; a colour frame is three.
    rejected
        Planes that quietscope refused (another size or pixel type, an occupied place).
    lost
        Frames that did not reach quietscope although it was there.
    late
        Frames that came when the run had been ended, or had gone.
    missed
        Frames that live mode is known to have passed over; it is not lossless.
    faults
        What went wrong, in words; empty if nothing did.
    """

    seen: int = 0
    stored: int = 0
    rejected: int = 0
    lost: int = 0
    late: int = 0
    missed: int = 0
    faults: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether every frame that came is on disk."""
        return not (self.rejected or self.lost or self.late or self.faults)


class Journal:
    """Counts from several threads, and says each kind of fault once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._report = Report()
        self._kinds: set[str] = set()

    @property
    def report(self) -> Report:
        """The counts now."""
        return self._report

    def count(self, **more: int) -> None:
        """Add to the counts, by their names."""
        with self._lock:
            now = self._report
            self._report = replace(now, **{name: getattr(now, name) + n for name, n in more.items()})

    def fault(self, kind: str, text: str) -> None:
        """Say what went wrong, the first time that something of its kind does."""
        with self._lock:
            if kind in self._kinds:
                return
            self._kinds.add(kind)
            self._report = replace(self._report, faults=(*self._report.faults, text))
        _LOG.warning("quietscope: %s", text)
