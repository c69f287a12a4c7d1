"""What a preset asks for, one after another."""

from collections.abc import Mapping
from dataclasses import dataclass

from quietscope.daemon.evaluation.case import Case
from quietscope.daemon.evaluation.contender import Contender

__all__ = ["Absent", "Item", "Published", "Trial"]


@dataclass(frozen=True)
class Trial:
    """A row to be measured."""

    case: Case
    contender: Contender


@dataclass(frozen=True)
class Published:
    """Figures of a paper, printed beside the means of ours.

    Parameters
    ----------
    group
        Group of cases that they belong to.
    name
        Method and source.
    figures
        By the names of the table's columns.
    """

    group: str
    name: str
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Absent:
    """Rows that cannot be made, and why."""

    words: str


Item = Trial | Published | Absent
"""One step of an evaluation."""
