"""A run folder as the viewer sees it: `quietscope.adapters.viewer.Archive` over ledger, log and store."""

from typing import Any

from quietscope.adapters.endpoints import local_endpoint
from quietscope.adapters.frame import FrameKey, Pixels
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.adapters.ome_zarr.layout import Kind
from quietscope.adapters.viewer import Snapshot
from quietscope.adapters.viewer.curve import Curve
from quietscope.daemon.event_words import words_of
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.log_tail import LogTail
from quietscope.daemon.runfolder import RunFolder

__all__ = ["RunArchive"]

_PARTS = 240
_EVENTS = 1000
_RATE_OVER_S = 5.0


class RunArchive:
    """Reads a run that goes on or has ended.

    Parameters
    ----------
    run
        The run folder.
    """

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._ledger: LedgerReader | None = None
        self._store: StoreReader | None = None
        self._log = LogTail(run.log)
        self._events: list[dict[str, Any]] = []
        self._told = 0
        self._figures = _Figures()
        self._progress = ""
        self._behind = ""
        self._paused = False
        self._extent = (0, FrameKey(-1, -1, -1, -1))
        self._published = 0
        self._timeline: tuple[object, str] = (None, "")

    def look(self) -> Snapshot:
        """What is known now; see `quietscope.adapters.viewer.Archive`."""
        running = bool(self._run.alive())
        for event in self._log.new_events():
            self._take(event)
        if self._ledger is None and self._run.ledger.is_file():
            self._ledger = LedgerReader(self._run.ledger)
        if self._ledger is None:
            return Snapshot(self._run.root.name, running=running, events=tuple(self._events))
        ledger = self._ledger
        counts = ledger.counts() | {"rejected": sum(ledger.rejected().values())}
        lengths = self._lengths(ledger)
        for identity, received_ns, published_ns in ledger.live_publications(after=self._published):
            self._published = identity
            self._figures.delay(published_ns, received_ns)
        addresses = self._run.addresses()
        endpoint, control = (addresses.get(name) for name in ("publish", "control"))
        return Snapshot(
            self._run.root.name,
            running=running,
            endpoint=None if endpoint is None else local_endpoint(endpoint),
            control=None if control is None else local_endpoint(control),
            paused=running and self._paused,
            series=ledger.series(),
            lengths=lengths,
            progress=self._progress,
            behind=self._behind,
            counts=counts,
            timeline=self._states(ledger, lengths.t, tuple(counts.values())),
            models=_models(ledger),
            events=tuple(self._events),
            curves=self._figures.curves,
        )

    def read(self, kind: Kind, key: FrameKey) -> Pixels:
        """Stored pixels, shape (Y, X)."""
        if self._store is None:
            self._store = StoreReader(self._run.root)
        return self._store.read(kind, key)

    def verdict(self, key: FrameKey) -> tuple[str, str] | None:
        """Traffic light of a denoised frame, and why; see `quietscope.adapters.viewer.Archive`."""
        with LedgerReader(
            self._run.ledger
        ) as ledger:  # of its own: the other one belongs to the thread of `look`
            return ledger.light(key)

    def close(self) -> None:
        """Let go of the run."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def _take(self, event: dict[str, Any]) -> None:
        self._figures.take(event)
        if event["event"] == "training":
            share = round(100 * event["used"])
            self._progress = (
                f"learning {event['name']}, {share} %"
                if share < 100
                else f"testing the model of {event['name']}"
            )
        elif event["event"] == "verdict":
            self._progress = ""
        elif event["event"] == "quality":
            self._behind = "" if event["quality"] == "full" else event["words"]
        elif event["event"] == "ready" and event["from"] == "processor":
            self._behind = ""  # a processor that was started again begins with full quality
        elif event["event"] in {"denoising", "software"}:  # with the latter a run begins, or is resumed
            self._paused = bool(event.get("paused"))
        elif event["event"] == "exit" and event.get("from") in {"trainer", "retrainer"}:
            self._progress = ""
        words = words_of(event)
        if words is None:
            return
        self._events.append(
            {
                "number": self._told,
                "time_ms": event.get("time_ns", 0) / 1e6,
                "level": words.level,
                "text": words.text,
            }
        )
        self._told += 1
        del self._events[:-_EVENTS]

    def _lengths(self, ledger: LedgerReader) -> FrameKey:
        last, largest = self._extent
        found = ledger.extent(after=last)
        if found is not None:
            self._extent = found[0], FrameKey(*map(max, largest, found[1]))
        return FrameKey(*(i + 1 for i in self._extent[1]))

    def _states(self, ledger: LedgerReader, length: int, counts: tuple[int, ...]) -> str:
        """State of the frames in equal parts of the time axis; made anew only when a frame has changed."""
        if length and self._timeline[0] != counts:
            parts = min(length, _PARTS)
            found: dict[int, set[str]] = {}
            for part, state, _ in ledger.states_over_time(length, parts):
                found.setdefault(part, set()).add(state)
            self._timeline = counts, "".join(_letter(found.get(part, set())) for part in range(parts))
        return self._timeline[1]


def _letter(states: set[str]) -> str:
    if not states:
        return "-"
    return "r" if "raw" in states else "s" if "skipped" in states else "d"


def _models(ledger: LedgerReader) -> dict[int, dict[str, Any]]:
    """Verdict and light of each channel; gain and offset only where they may be relied on."""
    found = {}
    for channel, verdict in ledger.verdicts().items():
        figures = verdict.figures
        known = bool(figures.get("gain_known") and figures.get("offset_known"))
        found[channel] = {
            "accepted": verdict.accepted,
            "reason": verdict.reason,
            "gain": figures.get("gain") if known else None,
            "offset": figures.get("offset") if known else None,
            "photons": figures.get("photons") if known else None,
        }
    return found


class _Figures:
    """Figures over time, from the events of a run."""

    def __init__(self) -> None:
        self.curves: dict[str, Curve] = {}
        self._received: list[tuple[float, int]] = []

    def take(self, event: dict[str, Any]) -> None:
        """Take what an event says."""
        seconds = event.get("time_ns", 0) / 1e9
        match event["event"], event.get("from"):
            case "status", "recorder":
                self._rate(seconds, event["received"])
                self._add("ring", seconds, 100 * event["ring_share"])
            case "status", "processor":
                self._add("waiting", seconds, event["pending"])
            case "training", _ if event.get("loss") is not None:
                self._add(f"loss/{event['channel']}", seconds, event["loss"])
            case _:
                pass

    def delay(self, published_ns: int, received_ns: int) -> None:
        """Take the delay of a frame that was denoised live."""
        self._add("delay", published_ns / 1e9, (published_ns - received_ns) / 1e6)

    def _rate(self, seconds: float, received: int) -> None:
        self._received.append((seconds, received))
        while seconds - self._received[0][0] > _RATE_OVER_S:
            del self._received[0]
        t0, n0 = self._received[0]
        if seconds - t0 >= 1.0:
            self._add("rate", seconds, (received - n0) / (seconds - t0))

    def _add(self, name: str, x: float, y: float) -> None:
        if y == y:  # noqa: PLR0124 - not NaN, which JSON cannot carry
            self.curves.setdefault(name, Curve()).add(x, y)
