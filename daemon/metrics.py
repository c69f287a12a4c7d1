"""What a run does, in figures that Prometheus reads, and whether it is well; fed with the events of its processes."""

import threading
import time
from collections import Counter
from collections.abc import Mapping

from quietscope.daemon.child import Event

__all__ = ["Metrics"]

_SILENT_S = 10.0
_CHILDREN = ("recorder", "processor", "trainer")

_METRICS: dict[str, tuple[str, str, str, float]] = {
    # name: (process, field of its status, type, factor)
    "frames_received_total": ("recorder", "received", "counter", 1),
    "frames_stored_total": ("recorder", "stored", "counter", 1),
    "frames_spooled_total": ("recorder", "spooled", "counter", 1),
    "frames_disordered_total": ("recorder", "disordered", "counter", 1),
    "connections_refused_total": ("recorder", "refused", "counter", 1),
    "queue_bytes": ("recorder", "ring_mb", "gauge", 1e6),
    "queue_free_bytes": ("recorder", "ring_free_mb", "gauge", 1e6),
    "frames_denoised_total": ("processor", "denoised", "counter", 1),
    "frames_skipped_total": ("processor", "skipped", "counter", 1),
    "frames_published_total": ("processor", "published", "counter", 1),
    "viewers_refused_total": ("processor", "refused", "counter", 1),
    "frames_pending": ("processor", "pending", "gauge", 1),
    "denoise_seconds": ("processor", "denoise_ms", "gauge", 1e-3),
    "behind_seconds": ("processor", "behind_s", "gauge", 1),
    "quality_step": ("processor", "quality_step", "gauge", 1),
}
_HELP = {
    "frames_received_total": "Distinct valid frames received.",
    "frames_stored_total": "Raw frames synced to disk and committed to the ledger.",
    "frames_spooled_total": "Frames that memory could not hold and that waited on disk.",
    "frames_disordered_total": "Frames that came after a later time point of their channel, plane and position.",
    "connections_refused_total": "Senders refused for their key.",
    "queue_bytes": "Frames in memory that are not written yet.",
    "queue_free_bytes": "Room left in memory for frames.",
    "frames_denoised_total": "Frames denoised and stored.",
    "frames_skipped_total": "Frames that are deliberately not denoised.",
    "frames_published_total": "Denoised frames shown to viewers.",
    "viewers_refused_total": "Viewers refused for their key.",
    "frames_pending": "Stored frames that are neither denoised nor skipped.",
    "behind_seconds": "From the arrival of the newest frame to its picture.",
    "quality_step": "0 at full quality; below it: 1 less overlap, 2 larger tiles, 3 preview, 4 raw only.",
    "denoise_seconds": "Time the last frame took to be denoised.",
}


class Metrics:
    """Collects events and answers questions about them; threads may ask while events come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._status: dict[str, Event] = {}
        self._memory: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        self._up: dict[str, bool] = {}
        self._starts: Counter[str] = Counter()
        self._alarm = 0
        self._fatal: list[str] = []

    def event(self, event: Event) -> None:
        """Take an event of the engine or of one of its processes."""
        name = str(event.get("from", ""))
        with self._lock:
            if name in _CHILDREN:
                self._heard[name] = time.monotonic()
            if "rss_mb" in event:
                self._memory[name] = event["rss_mb"]
            match event["event"]:
                case "status":
                    self._status[name] = event
                case "ready" | "exit" if name == "retrainer":
                    pass  # whatever becomes of it, the run is as well as before
                case "ready":
                    self._up[name] = True
                    self._starts[name] += 1
                case "exit":
                    # Only an unexpected end is a fault; the trainer's work ends before the run does.
                    self._up[name] = event.get("status") == 0
                case "alarm":
                    self._alarm = int(event["percent"])
                case "fatal":
                    self._fatal.append(str(event["text"]))
                case _:
                    pass

    def render(self) -> str:
        """Everything in Prometheus' text format, version 0.0.4."""
        with self._lock:
            lines: list[str] = []
            for name, (process, field, kind, factor) in _METRICS.items():
                value = self._status.get(process, {}).get(field, 0)
                lines += _metric(name, _HELP[name], kind, {"": float(value) * factor})
            rejected = self._status.get("recorder", {}).get("rejected", {})
            lines += _labelled(
                "frames_rejected_total",
                "Things that came and were no valid frame.",
                "counter",
                "reason",
                rejected,
            )
            lines += _labelled(
                "process_resident_bytes",
                "Memory.",
                "gauge",
                "process",
                {n: 1e6 * mb for n, mb in self._memory.items()},
            )
            lines += _labelled("process_up", "1 unless it died.", "gauge", "process", self._up)
            starts = {name: max(0, n - 1) for name, n in self._starts.items()}
            lines += _labelled("process_restarts_total", "Times started again.", "counter", "process", starts)
            lines += _metric(
                "queue_alarm_percent", "0, 75 or 100: how full memory is.", "gauge", {"": self._alarm}
            )
        return "\n".join(lines) + "\n"

    def health(self) -> list[str]:
        """What is wrong, in words; empty if the run is well."""
        with self._lock:
            now = time.monotonic()
            wrong = list(self._fatal)
            wrong += [f"the {name} has died" for name, up in self._up.items() if not up]
            for name in ("recorder", "processor"):
                if self._up.get(name) and now - self._heard[name] > _SILENT_S:
                    wrong.append(f"the {name} has said nothing for {now - self._heard[name]:.0f} s")
            if not self._up.get("recorder"):
                wrong.append("the recorder is not ready")
            if self._alarm >= 100:
                wrong.append("memory is full: frames wait on disk or the source has to wait")
        return wrong


def _labelled(name: str, text: str, kind: str, label: str, values: Mapping[str, float]) -> list[str]:
    return _metric(
        name, text, kind, {f'{{{label}="{_escaped(key)}"}}': float(n) for key, n in values.items()}
    )


def _metric(name: str, text: str, kind: str, values: dict[str, float]) -> list[str]:
    full = f"quietscope_{name}"
    return [
        f"# HELP {full} {text}",
        f"# TYPE {full} {kind}",
        *(
            f"{full}{labels} {value:g}" if value < 1e6 else f"{full}{labels} {value:.0f}"
            for labels, value in values.items()
        ),
    ]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
