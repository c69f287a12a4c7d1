"""Settings of an acquisition that quietscope itself starts on Micro-Manager."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from quietscope.config.base import Section

__all__ = ["MicroManagerSettings"]


class MicroManagerSettings(Section):
    """A running Micro-Manager, or a Micro-Manager core without a window."""

    kind: Literal["micromanager"] = "micromanager"
    """Marks this source."""

    plan: Path | None = None
    """What to acquire: TOML or JSON with the keywords of pycromanager's ``multi_d_acquisition_events``, or a useq
    sequence. None follows Live mode until the run is stopped, which is NOT lossless."""

    port: int = Field(default=4827, ge=1, le=65535)
    """Port of the running Micro-Manager (Tools > Options > Run server on port 4827)."""

    configuration: str | None = None
    """Hardware configuration (.cfg) for a core without a window; ``demo`` is a simulated microscope. None uses the
    running Micro-Manager."""

    adapters: Path | None = None
    """Folder of Micro-Manager with the device adapters, for a core without a window."""

    buffer_mb: int = Field(default=1024, ge=16, le=1_000_000)
    """Size of the core's own buffer, megabytes, for a core without a window. A camera faster than the computer fills
    it, and when it overflows, Micro-Manager aborts the acquisition."""

    save: Path | None = None
    """Folder in which Micro-Manager stores the raw frames as well; none leaves that to quietscope."""

    memory_mb: float = Field(default=512.0, gt=0, le=1_000_000)
    """Bound of the frames that wait for the recorder, megabytes (10⁶ bytes)."""

    when_full: Literal["spool"] = "spool"
    """A camera cannot wait: what the ring cannot hold is spooled to disk."""
