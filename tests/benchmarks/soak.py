"""The real daemon at a set rate for a long time: nothing missed, and memory, descriptors and threads stay as they are.

Run ``python tests/benchmarks/soak.py --minutes 60 [--rate 3] [--size 512] [--json FILE]``; ``--minutes 5`` is the
five-minute form. The simulated microscope delivers two channels, a viewer listens, and every few seconds the engine,
the recorder, the processor and the trainer are looked at from outside. What came before ``--warm-up`` (a fifth of the
time, three to ten minutes) is training and back-fill, and is not judged. Then the exit status is 0 only if

* every frame of the plan was received, stored and denoised,
* no process gained 1 MB of resident memory or more in 10 minutes (Theil and Sen's slope); 10 MB in runs of less than
  half an hour, in which the ledger's cache and the memory of answered messages are still filling up, 5 MB together,
* descriptors (handles on Windows) and threads that are always there are no more in the last quarter than there
  mostly were in the first,
* every process was there from the beginning to the end.
"""

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from scipy.stats import theilslopes

from quietscope.adapters.subscriber import Subscriber
from quietscope.config import WireError
from quietscope.daemon.runfolder import RunFolder

CHANNELS = 2
MOST_MB_PER_10_MIN = 1.0
MOST_WHILE_FILLING = 10.0
SHORT_S = 1800.0
WINDOWS = 4
"""A file that is open while a frame is read or written is not a leak: the fewest of each quarter are told."""
PATIENCE_S = 900.0
QUICK_TRAINING = (
    "training.max_steps=400",
    "training.budget_s=600",
    "adaptive_sn2n.base_channels=8",
    "adaptive_sn2n.batch=8",
)


@dataclass(frozen=True)
class Sample:
    """One process at one moment."""

    process: str
    pid: int
    time_s: float
    rss_mb: float
    descriptors: int
    threads: int
    cpu_s: float


@dataclass
class Trend:
    """What became of one process."""

    process: str
    rss_mb: tuple[float, float]
    mb_per_10_min: float
    descriptors: list[int]
    threads: list[int]
    cpu_share: float
    faults: list[str] = field(default_factory=list)


def look(process: str, found: psutil.Process, began: float) -> Sample:
    """One sample; descriptors are handles on Windows."""
    with found.oneshot():
        descriptors = found.num_handles() if os.name == "nt" else found.num_fds()
        cpu = found.cpu_times()
        return Sample(
            process,
            found.pid,
            time.monotonic() - began,
            found.memory_info().rss / 1e6,
            descriptors,
            found.num_threads(),
            cpu.user + cpu.system,
        )


def judge(
    samples: Sequence[Sample], warm_up_s: float, most_mb_per_10_min: float = MOST_MB_PER_10_MIN
) -> list[Trend]:
    """The trend of each process after the warm-up, and what is wrong with it."""
    trends = []
    end = max((sample.time_s for sample in samples), default=0.0)
    for name in dict.fromkeys(sample.process for sample in samples):
        kept = [sample for sample in samples if sample.process == name and sample.time_s >= warm_up_s]
        if len(kept) < 2 * WINDOWS:
            trends.append(Trend(name, (0, 0), 0, [], [], 0, [f"{name}: only {len(kept)} samples"]))
            continue
        times = [sample.time_s for sample in kept]
        memory = [sample.rss_mb for sample in kept]
        slope = float(theilslopes(memory, times).slope) * 600
        span = times[-1] - times[0]
        trend = Trend(
            name,
            (memory[0], memory[-1]),
            slope,
            _floors([sample.descriptors for sample in kept]),
            _floors([sample.threads for sample in kept]),
            (kept[-1].cpu_s - kept[0].cpu_s) / span,
        )
        if slope >= most_mb_per_10_min:
            trend.faults.append(f"{name}: memory grows by {slope:.2f} MB in 10 minutes")
        for what, floors in (("descriptors", trend.descriptors), ("threads", trend.threads)):
            first = [getattr(sample, what) for sample in kept[: len(kept) // WINDOWS]]
            if floors[-1] > statistics.median(first):
                trend.faults.append(f"{name}: {what} grow: {floors}")
        if len({sample.pid for sample in kept}) > 1:
            trend.faults.append(f"{name}: was started again")
        if times[-1] < end - (end - warm_up_s) / WINDOWS:
            trend.faults.append(f"{name}: ended {end - times[-1]:.0f} s before the others")
        trends.append(trend)
    return trends


def _floors(counts: list[int]) -> list[int]:
    edges = [round(i * len(counts) / WINDOWS) for i in range(WINDOWS + 1)]
    return [min(counts[a:b]) for a, b in itertools.pairwise(edges)]


def observe(
    processes: Callable[[], dict[str, int]], seconds: float, interval_s: float, log: Path
) -> list[Sample]:
    """Sample processes (name → process number) until the time is over or all are gone."""
    samples: list[Sample] = []
    handles: dict[int, psutil.Process] = {}
    began = time.monotonic()
    with log.open("w", encoding="utf-8") as sink:
        while time.monotonic() - began < seconds and (now := processes()):
            for name, pid in now.items():
                with contextlib.suppress(psutil.Error):
                    sample = look(name, handles.setdefault(pid, psutil.Process(pid)), began)
                    samples.append(sample)
                    sink.write(json.dumps(asdict(sample)) + "\n")
            sink.flush()
            time.sleep(interval_s)
    return samples


class Viewer(threading.Thread):
    """Somebody who watches; what is seen and missed is counted, and nothing depends on it."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(name="viewer")
        self._endpoint = endpoint
        self._over = threading.Event()
        self.seen = 0
        self.gaps = 0

    def run(self) -> None:
        with Subscriber(self._endpoint, mode="every", timeout=1.0) as frames:
            while not self._over.is_set() and not frames.ended:
                with contextlib.suppress(WireError):
                    if (frame := frames.receive()) is not None:
                        self.seen += 1
                        self.gaps += frame.gap

    def close(self) -> None:
        self._over.set()
        self.join()


def missed(summary: dict[str, Any], planned: int, status: int) -> list[str]:
    """What a run's summary says against its plan."""
    faults = [
        f"{summary[what]} of {planned} frames {words}"
        for what, words in (
            ("frames_received", "were received"),
            ("raw_stored", "were stored"),
            ("denoised", "were denoised"),
        )
        if summary[what] != planned
    ]
    return [*faults, *([f"the run ended with status {status}"] if status else [])]


def soak(
    work: Path,
    *,
    seconds: float,
    rate: float,
    size: int,
    warm_up_s: float,
    interval_s: float,
    changes: Sequence[str] = (),
) -> dict[str, Any]:
    """One run and the verdict on it; ``faults`` is empty for a good one."""
    per_second = rate / CHANNELS
    frames = round(seconds * per_second)
    settings = [
        "source.kind=simulator",
        f"source.frames={frames}",
        f"source.rate_hz={per_second}",
        f"source.height={size}",
        f"source.width={size}",
        "source.photons=60.0",
        "source.bleach_per_frame=0",
        *QUICK_TRAINING,
        *changes,
    ]
    (work / "settings.toml").write_text("")
    command = [sys.executable, "-m", "quietscope.daemon", "run", str(work / "settings.toml")]
    command += ["--out", str(work), "--name", "run", *(p for one in settings for p in ("--set", one))]
    with (work / "output.txt").open("w") as output:
        engine = subprocess.Popen(command, cwd=work, stdout=output, stderr=subprocess.STDOUT)
    run = RunFolder(work / "run")
    try:
        viewer = Viewer(_address(run, engine))
        viewer.start()
        try:
            samples = observe(
                lambda: {"engine": engine.pid, **run.alive()} if engine.poll() is None else {},
                seconds,
                interval_s,
                work / "samples.jsonl",
            )
            status = engine.wait(PATIENCE_S)
        finally:
            viewer.close()
    finally:
        if engine.poll() is None:
            family = psutil.Process(engine.pid).children(recursive=True)
            for process in [engine, *family]:
                process.kill()
            engine.wait()
    summary = json.loads(run.summary.read_text(encoding="utf-8"))
    trends = judge(samples, warm_up_s, MOST_WHILE_FILLING if seconds < SHORT_S else MOST_MB_PER_10_MIN)
    faults = missed(summary, frames * CHANNELS, status)
    return {
        "seconds": seconds,
        "rate": rate,
        "size": size,
        "warm_up_s": warm_up_s,
        "planned": frames * CHANNELS,
        "summary": summary,
        "viewer": {"seen": viewer.seen, "gaps": viewer.gaps},
        "processes": [asdict(trend) for trend in trends],
        "faults": faults + [fault for trend in trends for fault in trend.faults],
        "samples": [asdict(sample) for sample in samples],
    }


def _address(run: RunFolder, engine: subprocess.Popen) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and engine.poll() is None:
        if "publish" in (found := run.addresses()):
            return str(found["publish"])
        time.sleep(0.1)
    raise TimeoutError(f"the run does not start, see {run.root.parent / 'output.txt'}")


def table(result: dict[str, Any]) -> str:
    """The verdict for people."""
    lines = ["process    resident MB      MB in 10 min  descriptors          threads              CPU"]
    for one in result["processes"]:
        first, last = one["rss_mb"]
        lines.append(
            f"{one['process']:10} {first:7.1f} → {last:7.1f}  {one['mb_per_10_min']:+8.3f}    "
            f"{one['descriptors']!s:20} {one['threads']!s:20} {one['cpu_share']:.2f}"
        )
    summary, viewer = result["summary"], result["viewer"]
    lines.append(
        f"planned {result['planned']}, received {summary['frames_received']}, stored {summary['raw_stored']}, "
        f"denoised {summary['denoised']}, {summary['fps']:.2f} frames per second, latency {summary['latency_ms']}; "
        f"the viewer saw {viewer['seen']} and missed {viewer['gaps']}"
    )
    return "\n".join([*lines, *(f"fault: {fault}" for fault in result["faults"])])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=3.0, help="frames per second over both channels")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--warm-up", type=float, help="seconds")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, help="keep the run here")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes
    with tempfile.TemporaryDirectory(prefix="quietscope-soak-", ignore_cleanup_errors=True) as folder:
        work = arguments.out or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        result = soak(
            work,
            seconds=seconds,
            rate=arguments.rate,
            size=arguments.size,
            warm_up_s=arguments.warm_up or min(max(seconds / 5, 180.0), 600.0),
            interval_s=max(1.0, seconds / 720),
            changes=arguments.set,
        )
    print(table(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))
    return 1 if result["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
