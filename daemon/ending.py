"""How a run ended."""

from dataclasses import dataclass, field

__all__ = ["Ending"]


@dataclass
class Ending:
    """How a run ended.

    Parameters
    ----------
    reason
        In words.
    faults
        Everything that makes the run's promise doubtful; empty for a good run.
    """

    reason: str = ""
    faults: list[str] = field(default_factory=list)
