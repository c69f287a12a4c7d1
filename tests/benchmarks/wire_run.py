"""A run in this process that is fed over the ingest wire, for the benchmarks of the live path."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from quietscope.adapters.control import ControlClient
from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ingest import IngestClient
from quietscope.config.loader import load_settings
from quietscope.daemon.engine import Engine
from quietscope.daemon.ledger_reader import LedgerReader

IN_HAND = 40
"""Frames that wait for the denoiser at most where the camera has no rate."""


class WireRun:
    """A run as `quietscope run` does it."""

    def __init__(self, out: Path, changes: list[str]) -> None:
        self.settings = load_settings(
            overrides=[f"out={out}", "source.kind=wire", "models.shelf=off", *changes]
        )
        self.verdicts: list[dict[str, Any]] = []
        self.engine = Engine(self.settings, on_event=self._hear)
        self.root = self.engine.run_folder.root
        self.thread = threading.Thread(target=self._go, name="engine")
        self.thread.start()
        while not self.addresses.get("publish"):
            time.sleep(0.1)
        self.control = ControlClient(self.addresses["control"])

    @property
    def addresses(self) -> dict[str, Any]:
        """What the run says about itself."""
        return self.engine.run_folder.addresses()

    def wait_until_live(self, channels: int, seconds: float = 600.0) -> None:
        """Wait until every channel has its model."""
        deadline = time.monotonic() + seconds
        while len(self.verdicts) < channels:
            if time.monotonic() > deadline or not self.thread.is_alive():
                raise SystemExit(f"only {len(self.verdicts)} of {channels} models went live: see {self.root}")
            time.sleep(0.1)

    def _hear(self, event: dict[str, Any]) -> None:
        if event["event"] == "model_live":
            self.verdicts.append(event)

    def _go(self) -> None:
        self.ending = self.engine.run()


class WireCamera(threading.Thread):
    """Delivers frames at `rate` per second, channels in turn; 0 keeps the denoiser's queue from running dry."""

    def __init__(self, run: WireRun, channels: list[list[np.ndarray]]) -> None:
        super().__init__(name="camera")
        self.rate = 0.0
        self.done = threading.Event()
        self.sent = 0
        self._run, self._channels = run, channels

    def run(self) -> None:
        """Deliver until `done`."""
        height, width = self._channels[0][0].shape
        series = {
            "height": height,
            "width": width,
            "dtype": "uint16",
            "channels": [f"c{c}" for c in range(len(self._channels))],
            "source": "benchmark",
        }
        with IngestClient(self._run.addresses["ingest"], sender="benchmark") as client:
            client.send("series", series=series)
            due = time.monotonic()
            with LedgerReader(self._run.root / "ledger.db") as ledger:
                while not self.done.is_set():
                    if self.rate:
                        due = max(due + 1 / self.rate, time.monotonic() - 0.5)
                        time.sleep(max(0.0, due - time.monotonic()))
                    elif ledger.pending_count() > IN_HAND:
                        time.sleep(0.05)
                        continue
                    t, c = divmod(self.sent, len(self._channels))
                    frames = self._channels[c]
                    client.send_frame(FrameKey(t, c), frames[t % len(frames)])
                    self.sent += 1
            client.send("end")
            client.flush(60.0)

    def stop(self) -> None:
        """End the series, and wait until the run is over."""
        self.done.set()
        self.join()
        self._run.thread.join()
