"""What a run's log says about its course: queues, training, events, software."""

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from quietscope.adapters.viewer.curve import Curve
from quietscope.daemon.event_words import Words, words_of

__all__ = ["History", "Training"]

_SILENCE_NS = 60_000_000_000
"""A living run writes twice a second; a longer silence lies between a run and its resumption."""

_LONGEST = 400
_EVENTS = 400


class Training:
    """Course of one training.

    Parameters
    ----------
    name
        The channel's name.
    frames
        Frames that it learns from.
    """

    def __init__(self, name: str, frames: int) -> None:
        self.name = name
        self.frames = frames
        self.loss = Curve(_LONGEST)
        self.validation = Curve(_LONGEST)

    def take(self, event: Mapping[str, Any]) -> None:
        """Take a report of progress."""
        for curve, value in ((self.loss, event["loss"]), (self.validation, event.get("validation"))):
            if value is not None and value == value:  # noqa: PLR0124 - not NaN
                curve.add(event["step"], value)


class History:
    """Reads ``log.jsonl`` once, in bounded memory.

    Times are seconds since the first event; the time between a run and its resumption is left out.

    Parameters
    ----------
    log
        The file; an absent one is an empty history.
    """

    def __init__(self, log: Path) -> None:
        self.curves: dict[str, Curve] = {}
        self.trainings: dict[int, Training] = {}
        self.events: list[tuple[float, Words]] = []
        self.events_left_out = 0
        self.resumed_at: list[float] = []
        self.software: dict[str, str] = {}
        self.peak_mb: dict[str, float] = {}
        self.peak_ring = 0.0
        self._starts = [0]
        self._dead = [0]
        last = 0
        for event in _events(log):
            now = event["time_ns"]
            if last == 0:
                self._starts, self._dead = [now], [now]
            elif now - last > _SILENCE_NS:
                self._starts.append(now)
                self._dead.append(self._dead[-1] + now - last)
                self.resumed_at.append(self.seconds(now))
            last = max(last, now)
            self._take(event, self.seconds(now))
        self.length_s = self.seconds(last) if last else 0.0

    def seconds(self, time_ns: int) -> float:
        """Seconds of running time between the first event and `time_ns` (nanoseconds since the epoch)."""
        part = max(0, bisect_right(self._starts, time_ns) - 1)
        return max(0, time_ns - self._dead[part]) / 1e9

    def _take(self, event: dict[str, Any], seconds: float) -> None:
        if "peak_rss_mb" in event:
            name = event["from"]
            self.peak_mb[name] = max(self.peak_mb.get(name, 0.0), event["peak_rss_mb"])
        match event["event"], event.get("from"):
            case "status", "recorder":
                self._add("received", seconds, event["received"])
                self._add("ring", seconds, 100 * event["ring_share"])
                self.peak_ring = max(self.peak_ring, event["ring_share"])
            case "status", "processor":
                self._add("denoised", seconds, event["denoised"])
                self._add("waiting", seconds, event["pending"])
            case "software", _:
                self.software = dict(event["versions"])
            case "training", _ if event["used"] == 0.0 and "frames" in event:
                self.trainings[event["channel"]] = Training(event["name"], event["frames"])
            case "training", _ if event["channel"] in self.trainings and event.get("loss") is not None:
                self.trainings[event["channel"]].take(event)
            case _:
                pass
        words = words_of(event)
        if words is not None:
            self._remember(seconds, words)

    def _remember(self, seconds: float, words: Words) -> None:
        """Keep the first events, and of the rest only how many there were."""
        if len(self.events) < _EVENTS:
            self.events.append((seconds, words))
        else:
            self.events_left_out += 1

    def _add(self, name: str, seconds: float, value: float) -> None:
        self.curves.setdefault(name, Curve(_LONGEST)).add(seconds, value)


def _events(log: Path) -> Iterator[dict[str, Any]]:
    try:
        file = log.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            try:
                event = json.loads(line)
            except ValueError:
                continue  # the last line of a killed run may not be whole
            if isinstance(event, dict) and "event" in event and "time_ns" in event:
                yield event
