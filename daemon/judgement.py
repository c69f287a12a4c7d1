"""What the gate made of a training, free of everything that trains."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Judgement"]


@dataclass(frozen=True)
class Judgement:
    """What became of a training.

    Parameters
    ----------
    model_id
        Identity of the model, empty without one.
    path
        The ONNX file, or None without one.
    accepted
        Whether the gate lets it go live.
    reason
        In words.
    figures
        What was measured; JSON-able.
    """

    model_id: str
    path: Path | None
    accepted: bool
    reason: str
    figures: Mapping[str, Any]
