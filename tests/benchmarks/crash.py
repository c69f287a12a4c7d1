"""kill -9 of recorder, processor, trainer, or all at once, at random moments of a run with a known series.

Run ``python tests/benchmarks/crash.py --seeds 200 [--first 0] [--jobs 1] [--json FILE]``. Each seed chooses a victim,
a moment, and whether the run has room in memory or has to spool; a sender feeds frames whose pixels follow from their
keys and notes which are acknowledged. Every third seed lets the series end whenever its frames are sent, so that the
kill may meet the finish, or come too late; the others hold the end back until the kill. After ``quietscope resume``
(killed once itself in every ninth seed) every acknowledged frame must be there with its pixels, the ledger must
balance, and ``quietscope verify`` must find nothing. Exit status 0 if that holds for every seed.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import onnx
import psutil
from onnx import TensorProto, helper, numpy_helper

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ingest import IngestClient
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.config import WireError
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.models.normalisation import Normaliser, StreamScale

VICTIMS = ("recorder", "processor", "trainer", "everything")
SHAPE = (64, 320)
FRAMES = 60
SERIES = {
    "height": SHAPE[0],
    "width": SHAPE[1],
    "dtype": "uint16",
    "channels": ["a", "b"],
    "source": "crash test",
}
PATIENCE_S = 600.0


@dataclass
class Outcome:
    """What became of one seed."""

    seed: int
    victim: str
    moment_s: float = 0.0
    killed: bool = False
    acknowledged: int = 0
    stored: int = 0
    denoised: int = 0
    adopted: int = 0
    faults: list[str] = field(default_factory=list)


def pixels(key: FrameKey) -> np.ndarray:
    """A ramp, which a mean filter keeps as it is, under noise that follows from the key."""
    noise = np.random.default_rng([key.t, key.c]).normal(0, 30, SHAPE)
    return np.rint(200 + 50 * key.c + 0.5 * np.arange(SHAPE[1]) + noise).astype("uint16")


def write_mean_filter(path: Path) -> None:
    """A model that passes the gate on this series at once, so that the crash test is about crashes."""
    sizes = ["batch", 1, "height", "width"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["input", "kernel"], ["output"], pads=[4] * 4)],
        "mean",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, sizes)],
        [numpy_helper.from_array(np.full((1, 1, 9, 9), 1 / 81, np.float32), "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    scale = Normaliser("stream", StreamScale(100.0, 50.0, 4.0)).to_metadata()
    helper.set_model_props(model, {**scale, "stride": "8"})
    onnx.save(model, path)


class Run:
    """A run over the ingest wire in processes of its own."""

    def __init__(self, work: Path, rng: np.random.Generator) -> None:
        self.root = work / "run"
        for channel in range(2):
            write_mean_filter(work / f"c{channel}.onnx")
        changes = [
            "source.kind=wire",
            f"training.model={work}",
            "training.frames=6",
            "runtime.threads=1",
            "training.threads=1",
            f"recorder.ring_mb={rng.choice([0.1, 64.0])}",
            f"recorder.writers={rng.integers(1, 4)}",
        ]
        (work / "settings.toml").write_text("")
        self.engine = self._start(
            work, "run", work / "settings.toml", "--out", work, "--name", "run", changes=changes
        )

    def _start(self, work: Path, *arguments: object, changes: list[str] = ()) -> subprocess.Popen:
        command = [sys.executable, "-m", "quietscope.daemon", *map(str, arguments)]
        command += [part for change in changes for part in ("--set", change)]
        with (work / "output.txt").open("a") as output:
            return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)

    def address(self) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                return json.loads((self.root / "endpoints.json").read_text())["ingest"]
            time.sleep(0.01)
        raise TimeoutError("the run does not start")

    def pid(self, name: str) -> int | None:
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self.engine.pid).children():
                if name in child.cmdline():
                    return child.pid
        return None

    def kill(self, name: str) -> bool:
        if name == "everything":
            self.end()
            return True
        pid = self.pid(name)
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return True

    def resume(self, work: Path, *, kill_after_s: float | None = None) -> int:
        self.engine = self._start(work, "resume", self.root)
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            self.kill("recorder")
        return self.engine.wait(PATIENCE_S)

    def verify(self, work: Path) -> int:
        return self._start(work, "verify", self.root).wait(PATIENCE_S)

    def end(self) -> None:
        if self.engine.poll() is None:
            family = psutil.Process(self.engine.pid).children(recursive=True)
            for process in [self.engine, *family]:
                process.kill()
            self.engine.wait()


def crash(seed: int) -> Outcome:
    """One run, one kill, one or two resumes."""
    rng = np.random.default_rng([seed, 0xC4A5])
    outcome = Outcome(seed, VICTIMS[seed % len(VICTIMS)])
    with tempfile.TemporaryDirectory(prefix="quietscope-crash-", ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        run = Run(work, rng)
        try:
            acknowledged = _feed(run, outcome, rng)
            try:
                run.engine.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                outcome.faults.append("the run did not end")
                run.end()
            outcome.acknowledged = len(acknowledged)
            if seed % 9 == 0:
                run.resume(work, kill_after_s=float(rng.uniform(0.3, 2.0)))
            for _ in range(2 if seed % 5 == 0 else 1):
                status = run.resume(work)
                if status:
                    outcome.faults.append(f"resume ended with status {status}")
            if run.verify(work):
                outcome.faults.append("verify found something")
            _check(run, outcome, acknowledged)
        except Exception as error:  # noqa: BLE001 - one seed that goes wrong must not hide the others
            outcome.faults.append(f"{error!r}")
        finally:
            run.end()
            if outcome.faults:
                outcome.faults.append((work / "output.txt").read_text(errors="replace")[-4000:])
    return outcome


def _feed(run: Run, outcome: Outcome, rng: np.random.Generator) -> set[FrameKey]:
    """Send the series at a random rate, kill the victim at a random moment; keys that were acknowledged."""
    rate = float(rng.choice([20.0, 60.0, 1000.0]))
    outcome.moment_s = float(rng.uniform(0.0, 3.5))
    may_finish_first = outcome.seed % 3 == 2
    sent: dict[int, FrameKey] = {}
    acknowledged: set[FrameKey] = set()
    with IngestClient(run.address(), sender="crash test", resend_s=2.0) as client:
        client.send("series", series=SERIES)
        began = time.monotonic()
        keys = [FrameKey(t, c) for t in range(FRAMES // 2) for c in range(2)]
        ended = False
        while time.monotonic() - began < PATIENCE_S and run.engine.poll() is None:
            elapsed = time.monotonic() - began
            if not outcome.killed and elapsed >= outcome.moment_s:
                outcome.killed = run.kill(outcome.victim)
            while keys and len(sent) < elapsed * rate and client.has_room:
                key = keys.pop(0)
                with contextlib.suppress(WireError):
                    sent[client.send_frame(key, pixels(key), timeout_s=1.0)] = key
            if not keys and not ended and (may_finish_first or elapsed >= outcome.moment_s):
                client.send("end")
                ended = True
            for ack in client.poll(timeout_s=0.02):
                if ack.status == "stored" and ack.number in sent:
                    acknowledged.add(sent[ack.number])
    return acknowledged


def _check(run: Run, outcome: Outcome, acknowledged: set[FrameKey]) -> None:
    if not (run.root / "image.ome.zarr").exists():
        if acknowledged:
            outcome.faults.append("frames were acknowledged, and there is no store")
        return
    store = StoreReader(run.root)
    with LedgerReader(run.root / "ledger.db") as ledger:
        kept = ledger.kept()
        counts, skipped, received = ledger.counts(), ledger.skipped(), ledger.meta("received")
    keys = [frame.key for frame in kept]
    outcome.stored, outcome.denoised = len(kept), counts["denoised"]
    outcome.adopted = len(set(keys) - acknowledged)
    if len(keys) != len(set(keys)):
        outcome.faults.append("a frame is in the ledger twice")
    if missing := acknowledged - set(keys):
        outcome.faults.append(f"{len(missing)} acknowledged frames are missing: {sorted(missing)[:5]}")
    for key in keys:
        if not np.array_equal(store.read("raw", key), pixels(key)):
            outcome.faults.append(f"{key} has other pixels than were sent")
    if not (received == len(kept) == counts["denoised"] + sum(skipped.values())) or counts["raw"]:
        outcome.faults.append(f"received {received}, stored {len(kept)}, {counts}, skipped {skipped}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    outcomes = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for outcome in pool.map(crash, range(arguments.first, arguments.first + arguments.seeds)):
            outcomes.append(outcome)
            told = {**asdict(outcome), "faults": outcome.faults[:-1]}
            print(json.dumps(told), flush=True)
            if outcome.faults:
                print(outcome.faults[-1], flush=True)
    bad = [outcome for outcome in outcomes if outcome.faults]
    total = {
        "seeds": len(outcomes),
        "good": len(outcomes) - len(bad),
        "killed": sum(outcome.killed for outcome in outcomes),
        "victims": Counter(outcome.victim for outcome in outcomes),
        "acknowledged": sum(outcome.acknowledged for outcome in outcomes),
        "stored": sum(outcome.stored for outcome in outcomes),
        "denoised": sum(outcome.denoised for outcome in outcomes),
    }
    print(json.dumps(total, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps({**total, "outcomes": [asdict(o) for o in outcomes]}, indent=1))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
