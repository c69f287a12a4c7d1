"""How much of the machine a training beside a recording takes."""

import os

from quietscope.config import Settings

__all__ = ["training_share"]


def training_share(settings: Settings) -> Settings:
    """Leave half of the CPU to the processes that record and show, unless it is said how much to take."""
    if settings.training.threads:
        return settings
    threads = max(1, (os.cpu_count() or 2) // 2)
    return settings.model_copy(update={"training": settings.training.model_copy(update={"threads": threads})})
