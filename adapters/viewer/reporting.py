"""What a browser is told about the run: everything at first, then what is new."""

from typing import Any

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.viewer.archive import Snapshot
from quietscope.adapters.viewer.light import LightMeter

__all__ = ["Report"]

_EVENTS_AT_ONCE = 300


class Report:
    """Remembers what one browser has been told.

    Parameters
    ----------
    light
        Brightness of the raw frames.
    """

    def __init__(self, light: LightMeter) -> None:
        self._light = light
        self._events = 0
        self._curves: dict[str, tuple[int, int]] = {}
        self.lengths = FrameKey(0, 0, 0, 0)
        self.denoised = 0

    def note(self, snapshot: Snapshot) -> None:
        """Take in what decides about stored pictures, even while the browser cannot be told."""
        self.lengths = snapshot.lengths
        self.denoised = snapshot.counts.get("denoised", 0)

    def news(self, snapshot: Snapshot, *, commands: bool = False) -> dict[str, Any]:
        """JSON-able report with the events and samples that are new to this browser.

        Parameters
        ----------
        snapshot
            What is known.
        commands
            Whether the browser may ask something of the run now.
        """
        series = snapshot.series
        events = [event for event in snapshot.events if event["number"] >= self._events][-_EVENTS_AT_ONCE:]
        if events:
            self._events = events[-1]["number"] + 1
        return {
            "name": snapshot.name,
            "running": snapshot.running,
            "progress": snapshot.progress,
            "behind": snapshot.behind,
            "paused": snapshot.paused,
            "commands": commands,
            "series": None
            if series is None
            else {
                "height": series.height,
                "width": series.width,
                "type": series.dtype,
                "channels": series.channels,
                "source": series.source,
                "pixel_size_um": series.pixel_size_um,
                "planned": dict(series.planned),
            },
            "lengths": snapshot.lengths._asdict(),
            "counts": dict(snapshot.counts),
            "timeline": snapshot.timeline,
            "models": {str(channel): dict(model) for channel, model in snapshot.models.items()},
            "events": events,
            "curves": self._new_samples(snapshot),
            "light": {str(c): self._light.means(c) for c in range(snapshot.lengths.c)},
        }

    def _new_samples(self, snapshot: Snapshot) -> dict[str, Any]:
        news = {}
        for name, curve in snapshot.curves.items():
            new = curve.since(*self._curves.get(name, (0, 0)))
            if new["x"]:
                self._curves[name] = new["epoch"], new["start"] + len(new["x"])
                news[name] = new
        return news
