"""What an earlier run has already, for a source that is to go on where that run stopped."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from quietscope.adapters.frame import FrameKey, Series

__all__ = ["Earlier", "EarlierFrame"]


@dataclass(frozen=True, slots=True)
class EarlierFrame:
    """A frame that is safe already.

    Parameters
    ----------
    key
        Its place in the series.
    received_ns
        When it arrived, nanoseconds since the epoch.
    crc32
        CRC-32 of its pixels.
    metadata
        Metadata that the source had given it.
    """

    key: FrameKey
    received_ns: int
    crc32: int
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Earlier:
    """An interrupted run, as the source needs it.

    Parameters
    ----------
    series
        What its frames have in common.
    frames
        Its frames in order of arrival; gone through once.
    """

    series: Series
    frames: Iterable[EarlierFrame]
