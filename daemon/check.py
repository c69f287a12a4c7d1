"""One thing that was looked at before a recording."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Check"]

State = Literal["go", "caution", "no-go"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Parameters
    ----------
    name
        What.
    state
        ``go``, ``caution`` (the run can begin, but see the words) or ``no-go``.
    words
        What was found, with figures, and the mend.
    """

    name: str
    state: State
    words: str
