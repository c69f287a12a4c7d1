"""From what Micro-Manager hands over to messages of the ingest wire."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from quietscope.adapters.frame import SUPPORTED_DTYPES, Pixels, Series
from quietscope.adapters.micromanager.handover import Arrival, Note
from quietscope.adapters.micromanager.info import FrameInfo, read_event, read_tags
from quietscope.adapters.micromanager.places import Places
from quietscope.adapters.micromanager.report import Journal
from quietscope.adapters.micromanager.times import FrameTimes

__all__ = ["Message", "Messages"]


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """A message to the recorder.

    Parameters
    ----------
    type
        As `docs/protocol.md` says.
    fields
        Its further fields.
    pixels
        Of a frame; shape (Y, X).
    """

    type: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    pixels: Pixels | None = None


class Messages:
    """Knows what a series is: introduces it, gives each frame its key and time, refuses what does not belong.

    Parameters
    ----------
    journal
        Where refused frames are counted and named.
    run
        What the recorder says of its run: ``next_t`` (first free time point), and ``channels`` (names), ``shape`` and
        ``dtype`` where frames have come before.
    """

    def __init__(self, journal: Journal, run: Mapping[str, Any]) -> None:
        self._journal = journal
        channels = tuple(run.get("channels") or ())
        self._places = Places(first_t=int(run.get("next_t") or 0), channels=channels)
        self._times = FrameTimes()
        self._planned: dict[str, int] = {}
        self._series: Series | None = None
        shape, dtype = run.get("shape"), run.get("dtype")
        self._fits = None if shape is None else (tuple(shape), str(dtype))

    def of(self, item: Arrival | Note) -> Iterator[Message]:
        """Messages for what was handed over, in the order to be sent."""
        if isinstance(item, Arrival):
            yield from self._frames(item)
            return
        if item.begins:
            self._places.new_acquisition()
            self._times.new_acquisition()
            self._planned = dict(item.planned)
        if item.text:
            yield Message("event", {"level": item.level, "text": item.text})

    def _frames(self, arrival: Arrival) -> Iterator[Message]:
        try:
            info = _read(arrival)
        except Exception as error:  # noqa: BLE001 - one strange frame must not end the others
            yield self._refuse("unreadable", "a frame", f"its metadata could not be read: {error!r}")
            return
        received_ns = self._times.of(info, arrival.arrival_ns)
        for colour, pixels in _planes(arrival):
            fault = self._fault(pixels)
            if fault is not None:
                yield self._refuse(fault[0], f"frame {dict(info.axes)} {info.channel}".strip(), fault[1])
                continue
            key = self._places.place(info, colour)
            yield from self._introduction(pixels, info)
            fields = {
                "kind": "raw",
                "key": list(key),
                "received_ns": received_ns,
                "exposure_ms": info.exposure_ms,
                "metadata": info.metadata,
            }
            yield Message("frame", fields, pixels)

    def _introduction(self, pixels: Pixels, info: FrameInfo) -> Iterator[Message]:
        """Series before its first frame, and again whenever a channel has come."""
        channels = self._places.channels
        if self._series is not None and self._series.channels == channels:
            return
        if self._series is None:
            height, width = pixels.shape
            kind = pixels.dtype.name
            self._fits = ((height, width), kind)
            self._series = Series(
                height, width, kind, channels, "Micro-Manager", info.pixel_size_um, self._planned
            )
        self._series = replace(self._series, channels=channels)
        yield Message("series", {"series": asdict(self._series)})

    def _fault(self, pixels: Pixels) -> tuple[str, str] | None:
        kind = pixels.dtype.name
        if pixels.ndim != 2 or kind not in SUPPORTED_DTYPES:
            return "dtype", (
                f"a frame of {_size(pixels.shape)} {kind} cannot be taken, only planes of {', '.join(SUPPORTED_DTYPES)}"
                " and 8-bit colour; choose 8 or 16 bits among the camera's properties"
            )
        if self._fits is not None and (pixels.shape, kind) != self._fits:
            return "shape", (
                f"a frame of {_size(pixels.shape)} {kind} does not belong to a series of {_size(self._fits[0])}"
                f" {self._fits[1]}; start a new run for another size or pixel type"
            )
        return None

    def _refuse(self, reason: str, name: str, detail: str) -> Message:
        self._journal.count(rejected=1)
        self._journal.fault(f"refused {reason}", detail)
        return Message("reject", {"name": name, "reason": reason, "detail": detail})


def _read(arrival: Arrival) -> FrameInfo:
    source = arrival.source
    if isinstance(source, tuple):
        return read_event(*source, arrival.arrival_ns)
    return read_tags(source, arrival.arrival_ns)


def _planes(arrival: Arrival) -> list[tuple[str, Pixels]]:
    """Planes of a frame with the names of their colours; a grey frame is one plane without a name."""
    pixels = arrival.pixels
    if pixels.ndim == 3 and pixels.shape[2] in {3, 4} and pixels.dtype == np.uint8:
        return [(colour, np.ascontiguousarray(pixels[..., i])) for i, colour in enumerate(arrival.colours)]
    return [("", pixels)]


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
