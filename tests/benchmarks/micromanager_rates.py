"""What quietscope costs an acquisition of Micro-Manager's core (simulated camera, 512 × 512, 5 ms, pycromanager).

* ``pairs``: frame rate without a hook, with the hook and its memory alone, and with the daemon live, interleaved.
* ``slow``: a denoiser many times slower than the camera behind the hook.
* ``full``: a run folder on a disk that fills up (``--out`` on a small one).

Run ``python tests/benchmarks/micromanager_rates.py pairs|slow|full [--out FOLDER]``.
"""

import argparse
import faulthandler
import json
import logging
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from mm_test_adapters import device_adapter_path
from pycromanager import Acquisition, Core, multi_d_acquisition_events, start_headless

from quietscope.adapters.micromanager import Live, live_denoising
from quietscope.adapters.micromanager.handover import HandOver
from quietscope.adapters.micromanager.pycromanager_faces import PycromanagerFaces
from quietscope.adapters.micromanager.report import Journal
from quietscope.adapters.micromanager.sink import FrameSink

EXPOSURE_MS = 5.0
QUICK_TRAINING = {
    "training.frames": 10,
    "training.max_steps": 400,
    "training.budget_s": 600,
    "adaptive_sn2n.base_channels": 8,
    "adaptive_sn2n.batch": 8,
}

Hook = Callable[[Any, dict[str, Any]], Any]


def prepare() -> None:
    """A core whose camera is as fast as it can be; its own drawing of frames would take 8 ms each."""
    folder = device_adapter_path()
    start_headless(str(folder), "MMConfig_demo.cfg", python_backend=True, buffer_size_mb=1024)
    core = Core()
    core.set_property("Camera", "PixelType", "16bit")
    core.set_exposure(EXPOSURE_MS)
    core.snap_image()  # FastImage repeats the last frame
    core.set_property("Camera", "FastImage", "1")


def acquire(frames: int, hook: Hook | None) -> tuple[float, int]:
    """Frames per second by the core's own clock, and how many frames Micro-Manager has in the end."""
    with Acquisition(image_process_fn=hook) as acquisition:
        acquisition.acquire(multi_d_acquisition_events(num_time_points=frames))
    dataset = acquisition.get_dataset()
    stamps = [dataset.read_metadata(time=t)["TimeReceivedByCore"] for t in (0, frames - 1)]
    times = [np.datetime64(stamp.replace(" ", "T")) for stamp in stamps]
    seconds = float((times[1] - times[0]) / np.timedelta64(1, "s"))
    return (frames - 1) / seconds, len(dataset.get_image_coordinates_list())


class Ring:
    """The hook and its memory alone: what is handed over is thrown away by a thread."""

    def __init__(self) -> None:
        self._handover = HandOver(512_000_000)
        self._journal = Journal()
        self.hook = PycromanagerFaces(
            FrameSink(self._handover, self._journal), store="micro-manager"
        ).image_process_fn
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._drain)
        self._thread.start()

    def _drain(self) -> None:
        while not self._stop.wait(0.005):
            while self._handover.take() is not None:
                pass

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        assert self._journal.report.lost == 0


def pairs(out: Path, frames: int = 600, count: int = 5) -> None:
    acquire(50, None)
    ring = Ring()
    rates: dict[str, list[float]] = {"none": [], "hook and ring": []}
    for _ in range(count):
        rates["none"].append(acquire(frames, None)[0])
        rates["hook and ring"].append(acquire(frames, ring.hook)[0])
    ring.close()
    show(rates)
    with live_denoising(out=out, name="pairs", changes={"training.max_steps": 250}, finish_s=0) as live:
        rates = {"none": [], "daemon live": []}
        for _ in range(count):
            rates["none"].append(acquire(frames, None)[0])
            rates["daemon live"].append(acquire(frames, live.hook)[0])
        show(rates)
        wait_for_store(live)
    print(f"the run {live.run.root} goes on filling up by itself")
    print(live.report, f"peak memory on the way {live.peak_memory_mb:.0f} MB", flush=True)


def show(rates: dict[str, list[float]]) -> None:
    for name, found in rates.items():
        print(
            f"{name}: {', '.join(f'{rate:.1f}' for rate in found)} fps, median {statistics.median(found):.1f}"
        )
    none, other = rates.values()
    ratios = [b / a for a, b in zip(none, other, strict=True)]
    print(
        f"ratio of each pair {', '.join(f'{r:.3f}' for r in ratios)}; median {statistics.median(ratios):.3f}",
        flush=True,
    )


def photons(seed: int = 0, count: int = 32) -> list[np.ndarray]:
    """Noisy pictures of one scene: the simulated camera's own have no photons in them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:512, :512] / 512
    spots = rng.uniform(0, 1, (300, 2))
    scene = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / 2e-5) for a, b in spots)
    scene = 40 * np.clip(scene, 0, 1) + 4 * (1 + np.sin(40 * x) * np.sin(30 * y))
    return [
        (100 + 2.2 * rng.poisson(scene) + 3.5 * rng.normal(size=scene.shape)).astype("uint16")
        for _ in range(count)
    ]


def slow(out: Path, frames: int = 1200) -> None:
    pool = photons()
    with live_denoising(out=out, name="slow", changes=QUICK_TRAINING, finish_s=900) as live:
        assert live.run.root is not None

        def noisy(hook: Hook) -> Hook:
            def look(image: Any, tags: dict[str, Any]) -> Any:
                hook(pool[tags["Axes"]["time"] % len(pool)], tags)
                return image, tags

            return look

        acquire(10, noisy(live.hook))
        log = live.run.root / "log.jsonl"
        wait_for(lambda: '"verdict"' in log.read_text(), 500, "no verdict")
        wait_for(lambda: '"model_live"' in log.read_text(), 30, "no model went live")
        before = events(log, "status", "processor")[-1]["denoised"]
        began = time.monotonic()
        rate, kept = acquire(frames, noisy(live.hook))
        seconds = time.monotonic() - began
        made = events(log, "status", "processor")[-1]["denoised"] - before
        wait_for_store(live)
        recorder = events(log, "status", "recorder")
        print(
            f"camera {rate:.1f} fps, {kept} of {frames} frames in Micro-Manager; denoiser {made / seconds:.1f} fps"
        )
        print(f"{live.report}; {live.peak_memory_mb:.0f} MB on the way at most")
        resident = max(e["peak_rss_mb"] for e in recorder)
        print(
            f"recorder: ring at most {max(e['ring_mb'] for e in recorder):.0f} MB,"
            f" {recorder[-1]['spooled']} frames spooled, resident at most {resident:.0f} MB;"
            f" this process {psutil.Process().memory_info().rss / 1e6:.0f} MB",
            flush=True,
        )
        began = time.monotonic()
    print(f"filled up {time.monotonic() - began:.0f} s later")
    summary = json.loads((out / "slow" / "summary.json").read_text())
    print(
        {
            key: summary[key]
            for key in ("frames_received", "raw_stored", "denoised", "skipped", "rejected", "fps")
        }
    )


def full(out: Path, frames: int = 300) -> None:
    logging.basicConfig(level=logging.WARNING)
    with live_denoising(out=out, name="full", changes={"store.codec": "none"}, finish_s=60) as live:
        rate, kept = acquire(frames, live.hook)
        print(f"{kept} of {frames} frames in Micro-Manager at {rate:.1f} fps")
        wait_for(lambda: bool(live.report.faults), 120, "no fault was said")
    print(live.report, flush=True)


def events(log: Path, event: str, origin: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    return [e for e in found if (e.get("event"), e.get("from")) == (event, origin)]


def wait_for_store(live: Live) -> None:
    wait_for(
        lambda: live.report.stored + live.report.lost >= live.report.seen, 300, "frames are still under way"
    )


def wait_for(done: Callable[[], bool], seconds: float, words: str) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(words)
        time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("pairs", "slow", "full"))
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    faulthandler.dump_traceback_later(1800, exit=True)
    prepare()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        globals()[chosen.what](chosen.out or Path(scratch))
    os._exit(0)


if __name__ == "__main__":
    main()
