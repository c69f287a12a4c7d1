"""The fastest rate at which every frame is denoised and shown as it comes, beside what the denoiser alone could do.

::

    python tests/benchmarks/live_rate.py OUT [--model FOLDER] [--side 512] [--channels 2] [--seconds 15] [--rounds 1]

One run of simulated frames over the ingest wire, raw and denoised stored, one viewer on the publish wire in a process
of its own. Without ``--model`` the models are trained first. Frames are delivered at rising shares of the denoiser's
own rate, which is measured in between, while the run has nothing to do, on the same frames and models from native
dtype to native dtype. A rate is sustained if every frame was denoised live at full quality. Prints JSON: per rate the
share of frames shown live, delays from arrival to publication, and the 99th percentile in intervals between frames
(of all channels).
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from wire_run import WireCamera, WireRun

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.simulator import Simulator
from quietscope.adapters.subscriber import Subscriber
from quietscope.config import WireError
from quietscope.config.sources import SimulatorSettings
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.daemon.ready_denoiser import ready_denoiser

SHARES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SETTLE_S = 3.0
OWN_S = 3.0


def watch(endpoint: str) -> None:
    """Take every frame until the run ends."""
    with Subscriber(endpoint, mode="every", timeout=1.0) as frames:
        while not frames.ended:
            with contextlib.suppress(WireError):  # nothing for a second
                frames.receive()


class Alone:
    """The denoisers of a run without a run."""

    def __init__(self, run: WireRun, channels: list[list[np.ndarray]]) -> None:
        shape = channels[0][0].shape
        paths = [run.root / "models" / f"c{c}.onnx" for c in range(len(channels))]
        self._ready = [ready_denoiser(path, run.settings, shape, lambda *_: None) for path in paths]
        self._channels = channels
        self.provider = self._ready[0].figures["provider"]

    def rate(self) -> float:
        """Frames per second."""
        started, done = time.monotonic(), 0
        while (elapsed := time.monotonic() - started) < OWN_S:
            for ready, frames in zip(self._ready, self._channels, strict=True):
                frame = frames[done % len(frames)]
                ready.denoiser.cast(ready.denoiser.denoise(frame), frame.dtype)
                done += 1
        return done / elapsed


def rest(camera: WireCamera, ledger: LedgerReader) -> None:
    """Deliver next to nothing until nothing is left to do."""
    camera.rate = 0.5
    while ledger.pending_count():
        time.sleep(0.2)


def cpu_seconds(processes: dict[str, psutil.Process]) -> np.ndarray:
    """Processor time of each process so far."""
    return np.array([sum(process.cpu_times()[:2]) for process in processes.values()])


def at_rate(
    camera: WireCamera,
    ledger: LedgerReader,
    processes: dict[str, psutil.Process],
    rate: float,
    seconds: float,
) -> dict[str, Any]:
    """Deliver at a rate; what came of it."""
    camera.rate = rate
    time.sleep(SETTLE_S)
    first, used = ledger.newest_id(0), cpu_seconds(processes)
    time.sleep(seconds)
    last, used = ledger.newest_id(0), cpu_seconds(processes) - used
    rest(camera, ledger)
    rows = [row for row in ledger.live_publications(after=first) if row[0] <= last]
    delays = [(shown - came) / 1e6 for _, came, shown in rows]
    p50, p99 = np.percentile(delays, (50, 99)).tolist() if delays else (None, None)
    return {
        "delivered_per_s": (last - first) / seconds,
        "shown_live": len(rows) / max(1, last - first),
        "p50_ms": p50,
        "p99_ms": p99,
        "p99_intervals": None if p99 is None else p99 * rate / 1e3,
        "cores": dict(zip(processes, (used / seconds).round(2).tolist(), strict=True)),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args()
    names = ("mitochondria", "er", "mitochondria", "er")[: asked.channels]
    simulator = Simulator(
        SimulatorSettings(height=asked.side, width=asked.side, photons=50.0, channels=names)
    )
    channels = [[simulator.pixels(FrameKey(t, c)) for t in range(24)] for c in range(asked.channels)]
    changes = [*asked.set, *([f"training.model={asked.model}"] if asked.model else [])]
    run = WireRun(asked.out, changes)
    viewer = multiprocessing.get_context("spawn").Process(target=watch, args=(run.addresses["publish"],))
    viewer.start()
    camera = WireCamera(run, channels)
    camera.rate = 2.0 * asked.channels
    camera.start()
    rounds = []
    try:
        run.wait_until_live(asked.channels)
        alone = Alone(run, channels)
        alive = {"camera": os.getpid(), "viewer": viewer.pid, **run.engine.run_folder.alive()}
        processes = {name: psutil.Process(pid) for name, pid in alive.items()}
        with LedgerReader(run.root / "ledger.db") as ledger:
            for share in SHARES * asked.rounds:
                rest(camera, ledger)
                own = alone.rate()
                found = at_rate(camera, ledger, processes, share * own, asked.seconds)
                rounds.append({"share": share, "own_per_s": own, **found})
                print(json.dumps(rounds[-1]), flush=True)
    finally:
        camera.stop()
        viewer.join(60)
    print(
        json.dumps(
            {
                "provider": alone.provider,
                "cores": os.cpu_count(),
                "machine_load": os.getloadavg(),
                "faults": run.ending.faults,
            }
        )
    )


if __name__ == "__main__":
    main()
