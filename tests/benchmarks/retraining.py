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
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from wire_run import WireCamera, WireRun

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.simulator import Simulator
from quietscope.config.sources import SimulatorSettings
from quietscope.daemon.ledger_reader import LedgerReader

SHARE = 0.6


def begin_training(run: WireRun) -> psutil.Process:
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


def measure(run: WireRun, camera: WireCamera, load: str, rounds: int, seconds: float) -> dict[str, Any]:
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
    run = WireRun(asked.out, asked.set)
    camera = WireCamera(run, [frames])
    camera.rate = 2.0
    camera.start()
    try:
        run.wait_until_live(1)
        camera.rate = 0.0
        time.sleep(5)
        print(json.dumps(measure(run, camera, asked.load, asked.rounds, asked.seconds), indent=1))
    finally:
        camera.stop()
    print(json.dumps({"faults": run.ending.faults}))


if __name__ == "__main__":
    main()
