"""What training again in the background costs the live path: the same run without and with it, in turn.

::

    python tests/benchmarks/retraining.py OUT [--load saturated|live] [--rounds 40] [--seconds 3] [--side 512]

One run of simulated frames that this script delivers. A model is trained first. Then the channel is trained again, and
the process that trains is stopped and let go on, in turn, for `rounds` pairs of `seconds` each: short pairs, since
other work on the machine comes and goes. ``saturated`` delivers frames faster than they can be denoised, and compares
denoised frames per second; ``live`` delivers 60 % of that, and compares the time from arrival to publication. Prints
JSON: means, the ratio of all frames with and without training, its 90 % interval (bootstrap over the pairs), how much
processor time the training took, and the machine's load.
"""

import argparse
import json
import os
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from quietscope.adapters.control import ControlClient
from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ingest import IngestClient
from quietscope.adapters.simulator import Simulator
from quietscope.config.loader import load_settings
from quietscope.config.sources import SimulatorSettings
from quietscope.daemon.engine import Engine
from quietscope.daemon.ledger_reader import LedgerReader

SHARE = 0.6
IN_HAND = 40
"""Frames that wait for the denoiser at most."""


class Camera(threading.Thread):
    """Delivers frames at `rate` per second; 0 keeps the denoiser's queue from running dry."""

    def __init__(self, run: "Run", frames: list[np.ndarray]) -> None:
        super().__init__(name="camera")
        self.rate = 0.0
        self.done = threading.Event()
        self._run, self._frames = run, frames

    def run(self) -> None:
        """Deliver until `done`."""
        side = self._frames[0].shape
        series = {
            "height": side[0],
            "width": side[1],
            "dtype": "uint16",
            "channels": ["a"],
            "source": "benchmark",
        }
        with IngestClient(self._run.addresses["ingest"], sender="benchmark") as client:
            client.send("series", series=series)
            t, due = 0, time.monotonic()
            with LedgerReader(self._run.root / "ledger.db") as ledger:
                while not self.done.is_set():
                    if self.rate:
                        due = max(due + 1 / self.rate, time.monotonic() - 0.5)
                        time.sleep(max(0.0, due - time.monotonic()))
                    elif ledger.pending_count() > IN_HAND:
                        time.sleep(0.05)
                        continue
                    client.send_frame(FrameKey(t), self._frames[t % len(self._frames)])
                    t += 1
            client.send("end")
            client.flush(60.0)


class Run:
    """A run in this process, as `quietscope run` does it."""

    def __init__(self, out: Path, changes: list[str]) -> None:
        settings = load_settings(overrides=[f"out={out}", "source.kind=wire", *changes])
        self.live = threading.Event()
        self.engine = Engine(settings, on_event=self._hear)
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

    def _hear(self, event: dict[str, Any]) -> None:
        if event["event"] == "model_live":
            self.live.set()

    def _go(self) -> None:
        self.ending = self.engine.run()


def begin_training(run: Run) -> psutil.Process:
    """Begin a training, and wait until it makes steps."""
    answer = run.control.ask("retrain")
    if not answer.ok:
        raise SystemExit(answer.text)
    while not (now := run.control.ask("status").status["retraining"]) or now["used"] == 0:
        time.sleep(0.5)
    return psutil.Process(run.addresses["pids"]["retrainer"])


def watch(ledger: LedgerReader, seconds: float) -> tuple[float, list[float]]:
    """Denoised frames per second, and delays in milliseconds of those denoised live, over some seconds."""
    before, last = ledger.counts()["denoised"], ledger.newest_id(0)
    started = time.monotonic()
    time.sleep(seconds)
    rate = (ledger.counts()["denoised"] - before) / (time.monotonic() - started)
    return rate, [(shown - came) / 1e6 for _, came, shown in ledger.live_publications(after=last)]


def measure(run: Run, camera: Camera, load: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Pairs without and with training, in an order that changes."""
    rates: dict[str, list[float]] = {"without": [], "with": []}
    delays: dict[str, list[float]] = {"without": [], "with": []}
    worked = 0.0
    with LedgerReader(run.root / "ledger.db") as ledger:
        if load == "live":
            camera.rate = SHARE * watch(ledger, 10 * seconds)[0]
        training = begin_training(run)
        for number in range(rounds):
            for name in ("without", "with") if number % 2 == 0 else ("with", "without"):
                if name == "without":
                    training.suspend()
                before = sum(training.cpu_times()[:2])
                rate, late = watch(ledger, seconds)
                worked += sum(training.cpu_times()[:2]) - before
                training.resume()
                rates[name].append(rate)
                delays[name] += late
    training.kill()
    without, beside = (np.array(rates[name]) for name in ("without", "with"))
    chosen = np.random.default_rng(0).integers(0, rounds, (2000, rounds))
    interval = np.percentile(beside[chosen].sum(axis=1) / without[chosen].sum(axis=1), (5, 95))
    return {
        "load": load,
        "delivered_per_s": camera.rate,
        "cores": os.cpu_count(),
        "machine_load": os.getloadavg(),
        "frames_per_s": {name: statistics.mean(found) for name, found in rates.items()},
        "ratio": float(beside.sum() / without.sum()),
        "ratio_90_percent": interval.tolist(),
        "delay_ms": {
            name: dict(zip(("p50", "p99"), np.percentile(found, (50, 99)).tolist(), strict=True))
            for name, found in delays.items()
            if found
        },
        "training_cores": worked / (rounds * seconds),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--load", choices=("saturated", "live"), default="saturated")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args()
    simulator = Simulator(
        SimulatorSettings(height=asked.side, width=asked.side, photons=50.0, channels=("mitochondria",))
    )
    frames = [simulator.pixels(FrameKey(t)) for t in range(24)]
    run = Run(asked.out, asked.set)
    camera = Camera(run, frames)
    camera.rate = 2.0
    camera.start()
    try:
        run.live.wait(600)
        camera.rate = 0.0
        time.sleep(5)
        print(json.dumps(measure(run, camera, asked.load, asked.rounds, asked.seconds), indent=1))
    finally:
        camera.done.set()
        camera.join()
        run.thread.join()
    print(json.dumps({"faults": run.ending.faults}))


if __name__ == "__main__":
    main()
