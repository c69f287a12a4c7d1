"""What the operating system lets this process use."""

import os

__all__ = ["usable_cpus"]


def usable_cpus() -> int:
    """Logical CPUs that this process may run on, at least 1; fewer than the machine has where it is confined."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
