"""What a preset is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from quietscope.daemon.evaluation.item import Item

__all__ = ["Preset", "for_seconds", "for_steps"]


@dataclass(frozen=True)
class Preset:
    """A prepared evaluation.

    Parameters
    ----------
    words
        What it shows and how it deviates from what it follows, one paragraph for above the table.
    make
        From the folder with real images (or none) and the captures to take of each configuration to what is to be done,
        one after another; images are made or read when their turn comes.
    """

    words: str
    make: Callable[[Path | None, int], Iterator[Item]]


def for_steps(steps: int) -> tuple[str, ...]:
    """Changes of settings that train for so many steps, however long they take."""
    return (f"training.max_steps={steps}", "training.budget_s=86400", "training.min_steps=0")


def for_seconds(seconds: float) -> tuple[str, ...]:
    """Changes of settings that train for so many seconds, however few steps they are."""
    return (f"training.budget_s={seconds:g}", "training.min_steps=0")
