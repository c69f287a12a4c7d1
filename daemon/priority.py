"""Steps behind everything else on the machine: for work that may take as long as it takes."""

import contextlib
import sys
from pathlib import Path

import psutil

__all__ = ["step_back"]

_NICE = 14
"""A twenty-fourth of the share of an ordinary process where both want the same core: less than what a live picture may
lose, and enough to come to an end on a machine that has no idle time at all."""


def step_back() -> None:
    """Give this process a low priority; call it before threads are made, which take it over.

    Linux: the nice value, and that of the session as well. Children have sessions of their own, and where the kernel
    shares time between sessions (autogroup), the nice value of a process counts for nothing against other sessions.
    Windows: the class "below normal". What a system refuses stays as it was.
    """
    with contextlib.suppress(psutil.Error):
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else _NICE)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(_NICE))
