"""Places at which tests can make the system fail as hardware does; nothing is armed unless the environment says so.

The variable ``QUIETSCOPE_FAULTS`` holds entries ``POINT=FAULT[@FIRST][xCOUNT]`` separated by commas: from the
FIRST-th time on that a process comes by POINT (default 1), COUNT times (default: for ever), FAULT happens. FAULT is the
name of a system error (``ENOSPC``, ``EIO``, …), ``slow:SECONDS``, ``memory`` (a device has no memory left), ``lost`` (a
device is gone), or ``exit`` (the process ends at once).

Examples
--------
>>> points = parse_faults("store.write=ENOSPC@3x2")
>>> points["store.write"].fault, points["store.write"].first, points["store.write"].count
('ENOSPC', 3, 2)
"""

import errno
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, get_args

from quietscope.config.errors import SettingsError

__all__ = ["FaultPoint", "PointName", "armed", "parse_faults", "reach"]

PointName = Literal[
    "store.write",
    "store.sync",
    "store.rename",
    "spool.write",
    "spool.read",
    "ledger.commit",
    "runtime.run",
    "trainer.train",
    "retrainer.train",
]
"""Where a fault can be made: before a plane is written, when it is to be synced, when a file takes its final name, when
a frame is spooled, when it is read back from the spool, when the ledger commits, when the network runs, when training
begins, and when training again does."""

VARIABLE = "QUIETSCOPE_FAULTS"

_ENTRY = re.compile(
    r"(?P<point>[a-z.]+)=(?P<fault>E[A-Z]+|memory|lost|exit|slow:(?P<seconds>[\d.]+))(@(?P<first>\d+))?(x(?P<count>\d+))?"
)
_WORDS = {
    "memory": "Failed to allocate memory for requested buffer (out of memory)",
    "lost": "the device is lost",
}


@dataclass(slots=True)
class FaultPoint:
    """A fault that waits for its turn.

    Parameters
    ----------
    fault
        What happens.
    first
        Number of the first pass at which it happens, from 1.
    count
        At how many passes; None for ever.
    passes
        How often the point has been passed.
    """

    fault: str
    first: int = 1
    count: int | None = None
    passes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def come_by(self) -> None:
        """Pass the point; what is due happens.

        Raises
        ------
        OSError
            If the fault is the name of a system error.
        RuntimeError
            If it is one of a computing device.
        """
        with self.lock:
            self.passes += 1
            turn = self.passes - self.first
        if turn < 0 or (self.count is not None and turn >= self.count):
            return
        if self.fault.startswith("slow:"):
            time.sleep(float(self.fault.removeprefix("slow:")))
        elif self.fault == "exit":
            os._exit(70)
        elif self.fault in _WORDS:
            raise RuntimeError(_WORDS[self.fault])
        else:
            number = getattr(errno, self.fault)
            raise OSError(number, f"{os.strerror(number)} (made by {VARIABLE})")


def parse_faults(text: str) -> dict[str, FaultPoint]:
    """Read the variable.

    Parameters
    ----------
    text
        Its value.

    Returns
    -------
    dict
        Name of the point → fault.

    Raises
    ------
    quietscope.config.SettingsError
        If an entry is not of the form above.
    """
    points: dict[str, FaultPoint] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        found = _ENTRY.fullmatch(entry)
        known = found is not None and found["point"] in get_args(PointName)
        if found is None or not known or (found["fault"][0] == "E" and not hasattr(errno, found["fault"])):
            msg = (
                f"{VARIABLE} has the entry {entry!r}, which is not POINT=FAULT[@FIRST][xCOUNT] with one of the points"
                f" {', '.join(get_args(PointName))}; correct or remove the variable"
            )
            raise SettingsError(msg)
        count = None if found["count"] is None else int(found["count"])
        points[found["point"]] = FaultPoint(found["fault"], int(found["first"] or 1), count)
    return points


_ARMED: dict[str, FaultPoint] = parse_faults(os.environ.get(VARIABLE, ""))


@contextmanager
def armed(text: str) -> Iterator[dict[str, FaultPoint]]:
    """Arm faults in this process for a while.

    Parameters
    ----------
    text
        As the variable would hold it.

    Yields
    ------
    dict
        The points, to see how often each was passed.
    """
    points = parse_faults(text)
    _ARMED.update(points)
    try:
        yield points
    finally:
        for point in points:
            del _ARMED[point]


def reach(point: PointName) -> None:
    """Say that the program comes by `point`; costs a look into an empty dictionary unless a test has armed it.

    Raises
    ------
    OSError, RuntimeError
        If a fault is due.
    """
    armed = _ARMED.get(point)
    if armed is not None:
        armed.come_by()
