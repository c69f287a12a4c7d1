"""What the user sees while a run goes on: one table on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from quietscope.daemon.child import Event

__all__ = ["Display"]

_PLAIN_EVERY_S = 10.0
_COLOURS = {"info": "default", "warning": "yellow", "error": "red"}


class Display:
    """Shows events as they come.

    Parameters
    ----------
    console
        Where to print.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._recorder: Event = {}
        self._processor: Event = {}
        self._training: dict[int, str] = {}
        self._addresses = ""
        self._started = time.monotonic()
        self._plain_at = self._started
        self._received: list[tuple[float, int]] = []
        self._rejected = 0
        self.peak_mb: dict[str, float] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(self._table(), console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def event(self, event: Event) -> None:
        """Take an event of the engine or of one of its processes."""
        if "peak_rss_mb" in event:
            name = event["from"]
            self.peak_mb[name] = max(self.peak_mb.get(name, 0.0), event["peak_rss_mb"])
        match event["event"], event.get("from"):
            case "status", "recorder":
                self._recorder = event
                self._received.append((time.monotonic(), event["received"]))
                del self._received[:-12]
            case "status", "processor":
                self._processor = event
            case "training", _:
                self._on_training(event)
            case _:
                self._say(event)
        if self._live is not None:
            self._live.update(self._table())
        elif time.monotonic() - self._plain_at > _PLAIN_EVERY_S:
            self._plain_at = time.monotonic()
            self._console.print(self._line(), highlight=False, soft_wrap=True)

    def _say(self, event: Event) -> None:
        match event["event"]:
            case "log":
                self._print(event["text"], _COLOURS.get(event["level"], "default"))
            case "series":
                height, width = event["shape"]
                self._print(
                    f"series: {width} × {height}, {event['dtype']}, channels {', '.join(event['channels'])}"
                )
            case "ready" if event["from"] == "processor":
                self._addresses = event["endpoint"]
                self._print(f"viewers connect to {event['endpoint']}")
            case "verdict":
                self._on_verdict(event)
            case "model_live":
                self._print(
                    f"channel {event['channel']}: model {event['model_id']} is live on {event['provider']}",
                    "green",
                )
            case "rejected":
                self._on_rejected(event)
            case "intake_ended":
                self._print(f"intake ended: {event['reason']}; {event['received']} frames received")
            case "fatal":
                self._print(event["text"], "bold red")
            case "stop":
                self._print(f"{event['reason']}: finishing what is there (once more to stop at once)")
            case _:
                pass

    def _on_training(self, event: Event) -> None:
        loss = "" if event.get("loss") is None else f", loss {event['loss']:.3g}"
        self._training[event["channel"]] = (
            f"{event['name']}: {event['used']:.0%}, step {event.get('step', 0)}{loss}"
        )
        if event["used"] == 0.0:
            self._print(f"training {event['name']} on {event['frames']} frames")

    def _on_verdict(self, event: Event) -> None:
        self._training.pop(event["channel"], None)
        seconds = event["figures"].get("training_s", 0.0)
        if event["accepted"]:
            self._print(f"{event['name']}: model accepted after {seconds:.0f} s. {event['reason']}", "green")
        else:
            self._print(
                f"{event['name']}: model NOT accepted, the channel stays on preview. {event['reason']}",
                "yellow",
            )

    def _on_rejected(self, event: Event) -> None:
        self._rejected += 1
        if self._rejected <= 20:
            self._print(f"rejected {event['name']} ({event['reason']}): {event['detail']}", "yellow")
        elif self._rejected == 21:
            self._print("further rejected frames are counted, and named in the ledger only", "yellow")

    def _print(self, text: str, style: str = "default") -> None:
        self._console.print(
            Text(f"{time.monotonic() - self._started:6.1f} s  {text}", style=style),
            soft_wrap=not self._console.is_terminal,
        )

    def _fps(self) -> float:
        if len(self._received) < 2:
            return 0.0
        (t0, n0), (t1, n1) = self._received[0], self._received[-1]
        return (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0

    def _figures(self) -> dict[str, Any]:
        recorder, processor = self._recorder, self._processor
        return {
            "received": recorder.get("received", 0),
            "frames/s": f"{self._fps():.1f}",
            "denoised": processor.get("denoised", 0),
            "to do": processor.get("pending", 0),
            "published": processor.get("published", 0),
            "denoise": f"{processor.get('denoise_ms', 0):.0f} ms",
            "queue": f"{recorder.get('ring_share', 0):.0%}",
            "rejected": sum(recorder.get("rejected", {}).values()),
        }

    def _line(self) -> str:
        training = "; ".join(self._training.values())
        figures = ", ".join(f"{k} {v}" for k, v in self._figures().items())
        return f"{time.monotonic() - self._started:6.1f} s  {figures}{'; training ' + training if training else ''}"

    def _table(self) -> Group:
        table = Table(show_edge=False, pad_edge=False)
        figures = self._figures()
        for name in figures:
            table.add_column(name, justify="right")
        table.add_row(*map(str, figures.values()))
        lines = [Text(f"training {line}", style="cyan") for line in self._training.values()]
        return Group(table, *lines)
