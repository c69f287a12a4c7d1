"""Settings of the shelf: where accepted models are kept for later runs."""

from pathlib import Path

from pydantic import Field

from quietscope.config.base import Section

__all__ = ["ModelsSettings"]


class ModelsSettings(Section):
    """What becomes of models that the gate has accepted."""

    shelf: Path = Path("auto")
    """Folder in which they are kept for later runs: ``auto`` takes the system's place for a user's data, ``off`` keeps
    none. They are kept with what their frames looked like, so only where ``trust.enabled`` is true."""

    start: bool = True
    """Let the last one of the same channel, camera, objective, exposure and settings denoise at once, if it passes the
    gate on the first frames, until this run's own model is trained."""

    shelf_count: int = Field(default=100, ge=1, le=10_000)
    """Most models on the shelf; the oldest go first."""

    shelf_mb: float = Field(default=500.0, gt=0, le=1_000_000)
    """Bound of the files on the shelf, megabytes; the oldest go first."""
