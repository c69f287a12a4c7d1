"""What two series must have in common for a model of the one to be tried on the other."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quietscope.adapters.frame import Series
from quietscope.config import Settings

__all__ = ["Fingerprint"]

_FROM_METADATA = (
    "camera",
    "camera_index",
    "camera_channel",
    "binning",
    "gain",
    "readout_mode",
    "objective",
    "modality",
    "simulated",
)
"""What frames may say of camera, optics and mode."""

_SHOWN = (
    ("channel", "channel {}"),
    ("shape", "{} pixels"),
    ("dtype", "{}"),
    ("pixel_size_um", "{} µm per pixel"),
    ("exposure_ms", "{} ms"),
    ("camera", "camera {}"),
    ("binning", "binning {}"),
    ("gain", "gain {}"),
    ("readout_mode", "read-out {}"),
    ("objective", "objective {}"),
    ("modality", "{}"),
    ("method", "{}"),
)

_ASKED = {
    "pixel_size_um": "pixel size",
    "exposure_ms": "exposure",
    "camera": "camera",
    "objective": "objective",
}
"""What tells microscopes apart, where it is known."""


@dataclass(frozen=True)
class Fingerprint:
    """How a channel was recorded, and what its network is made like.

    Parameters
    ----------
    facts
        Name → value, JSON-able; what the source does not know is missing.
    """

    facts: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        series: Series,
        channel: str,
        settings: Settings,
        *,
        exposure_ms: float | None,
        metadata: Mapping[str, Any],
    ) -> "Fingerprint":
        """Take the fingerprint of a channel.

        Parameters
        ----------
        series
            What all frames share.
        channel
            Name of the channel.
        settings
            Method, with the options that make another network of the same frames.
        exposure_ms, metadata
            What the first frame of the channel says.
        """
        section = settings.method.replace("-", "_")
        known: dict[str, Any] = {
            "channel": channel,
            "shape": f"{series.width}×{series.height}",
            "dtype": series.dtype,
            "pixel_size_um": _rounded(series.pixel_size_um),
            "exposure_ms": _rounded(exposure_ms),
            **{name: metadata[name] for name in _FROM_METADATA if name in metadata},
            "method": settings.method,
            "options": getattr(settings, section).model_dump(mode="json"),
        }
        return cls({name: value for name, value in known.items() if value is not None})

    @property
    def digest(self) -> str:
        """16 hexadecimal digits, the same for the same facts."""
        text = json.dumps(self.facts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def words(self) -> str:
        """The facts for people."""
        return ", ".join(form.format(self.facts[name]) for name, form in _SHOWN if name in self.facts)

    @property
    def unknown(self) -> tuple[str, ...]:
        """What would tell microscopes apart and is not known, in words."""
        return tuple(words for name, words in _ASKED.items() if name not in self.facts)


def _rounded(value: float | None) -> float | None:
    """Three digits: cameras report the exposure that they reached, not the one that was asked for."""
    return None if value is None else float(f"{value:.3g}")
