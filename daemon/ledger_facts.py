"""What the ledger says, as values."""

from dataclasses import dataclass
from typing import Any

from quietscope.adapters.frame import FrameKey

__all__ = ["KeptFrame", "ModelVerdict", "PendingFrame"]


@dataclass(frozen=True, slots=True)
class PendingFrame:
    """A committed raw frame."""

    id: int
    key: FrameKey
    received_ns: int


@dataclass(frozen=True, slots=True)
class KeptFrame:
    """What the ledger promises about a frame.

    Parameters
    ----------
    key
        The frame.
    state
        ``raw``, ``denoised`` or ``skipped``.
    crc32
        CRC-32 of the raw pixels.
    denoised_crc32
        CRC-32 of the denoised pixels, or None.
    """

    key: FrameKey
    state: str
    crc32: int
    denoised_crc32: int | None


@dataclass(frozen=True, slots=True)
class ModelVerdict:
    """The last word of the gate about a channel; provisional while a model of an earlier run serves."""

    channel: int
    model_id: str
    accepted: bool
    path: str | None
    reason: str
    figures: dict[str, Any]
    provisional: bool = False
