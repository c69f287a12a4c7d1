"""What the user sees while a run goes on: one table on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from quietscope.daemon.child import Event
from quietscope.daemon.event_words import words_of

__all__ = ["Display"]

_PLAIN_EVERY_S = 10.0
_COLOURS = {"info": "default", "good": "green", "warning": "yellow", "error": "red"}


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
        self._behind = ""
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
        if event["event"] == "ready" and event["from"] == "processor":
            self._addresses = event["endpoint"]
        if event["event"] == "quality":
            full = event["quality"] == "full"
            self._behind = "" if full else f"behind: viewers get {event['words']}"
        if event["event"] == "verdict":
            self._training.pop(event["channel"], None)
        if event["event"] == "exit" and event["from"] == "retrainer":
            self._training.clear()  # it may have died; what is still being trained tells of itself again
        words = words_of(event)
        if words is None or (event["event"] == "rejected" and not self._is_told()):
            return
        self._print(
            words.text, "bold red" if event["event"] == "fatal" else _COLOURS.get(words.level, "default")
        )

    def _on_training(self, event: Event) -> None:
        loss = "" if event.get("loss") is None else f", loss {event['loss']:.3g}"
        steps = f"step {event.get('step', 0)}{loss}"
        self._training[event["channel"]] = (
            f"training {event['name']}: {event['used']:.0%}, {steps}"
            if event["used"] < 1.0
            else f"testing the model of {event['name']}, trained to {steps}"
        )
        words = words_of(event)
        if words is not None:
            self._print(words.text)

    def _is_told(self) -> bool:
        """Whether one more rejected frame is worth a line."""
        self._rejected += 1
        if self._rejected == 21:
            self._print("further rejected frames are counted, and named in the ledger only", "yellow")
        return self._rejected <= 20

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
        # `quietscope train` has neither recorder nor processor
        figures = (
            [", ".join(f"{k} {v}" for k, v in self._figures().items())]
            if self._recorder or self._processor
            else []
        )
        more = [training] if training else []
        more += [self._behind] if self._behind else []
        return f"{time.monotonic() - self._started:6.1f} s  {'; '.join([*figures, *more]) or 'starting'}"

    def _table(self) -> Group:
        table = Table(show_edge=False, pad_edge=False)
        figures = self._figures()
        for name in figures:
            table.add_column(name, justify="right")
        table.add_row(*map(str, figures.values()))
        lines = [Text(line, style="cyan") for line in self._training.values()]
        if self._behind:
            lines.append(Text(self._behind, style="yellow"))
        return Group(table, *lines)
