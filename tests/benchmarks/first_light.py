"""Measured outcomes of the live path on real images: each streams files into a watched folder in real time.

Run ``python tests/benchmarks/first_light.py fmd|lysosome|fura2|memory [--seconds S]``. Needs the real images
(``QUIETSCOPE_DATA`` or ``../shared/data``), but for ``memory``. Figures go to standard output as JSON.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ome_zarr import StoreReader
from quietscope.daemon.ledger_reader import LedgerReader
from quietscope.models.quality import fit_line, psnr

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("QUIETSCOPE_DATA", ROOT.parent / "shared" / "data"))
RATE_HZ = 2.0


class Watched:
    """A ``quietscope watch`` in a process of its own."""

    def __init__(self, frames: int, *arguments: str) -> None:
        self.work = Path(tempfile.mkdtemp(prefix="quietscope-bench-"))
        self.folder = self.work / "incoming"
        self.folder.mkdir()
        command = [
            sys.executable,
            "-m",
            "quietscope.daemon",
            "watch",
            str(self.folder),
            "--frames",
            str(frames),
        ]
        command += [
            "--out",
            str(self.work),
            "--name",
            "run",
            "--json",
            str(self.work / "summary.json"),
            *arguments,
        ]
        self.process = subprocess.Popen(command, stdout=sys.stderr)
        while not (self.work / "run" / "endpoints.json").exists():
            time.sleep(0.1)

    def drop(self, name: str, write: object) -> None:
        """Write a file as a careful program does: under another name first."""
        temporary = self.folder / f".{name}.part"
        write(temporary)
        os.replace(temporary, self.folder / name)

    def end(self) -> dict:
        status = self.process.wait()
        summary = json.loads((self.work / "summary.json").read_text())
        with LedgerReader(self.work / "run" / "ledger.db") as ledger:
            verdicts = {
                v.figures.get("channel_name", c): {
                    "accepted": v.accepted,
                    "reason": v.reason,
                    **{k: x for k, x in v.figures.items() if k != "trained_on"},
                }
                for c, v in ledger.verdicts().items()
            }
        return {"exit_status": status, "summary": summary, "verdicts": verdicts}

    @property
    def store(self) -> StoreReader:
        return StoreReader(self.work / "run")


def stream(watched: Watched, files: list[tuple[str, object]], rate_hz: float) -> None:
    started = time.monotonic()
    for i, (name, write) in enumerate(files):
        time.sleep(max(0.0, started + i / rate_hz - time.monotonic()))
        watched.drop(name, write)


def score(
    store: StoreReader, truths: dict[FrameKey, np.ndarray], data_range: float, *, uint8: bool = False
) -> dict:
    raw_db, denoised_db, ys, xs = [], [], [], []
    for key, truth in truths.items():
        raw, denoised = store.read("raw", key), store.read("denoised", key)
        if uint8:
            denoised = np.clip(np.rint(denoised.astype(float)), 0, 255).astype(np.uint8)
        raw_db.append(psnr(truth, raw, data_range))
        denoised_db.append(psnr(truth, denoised, data_range))
        ys.append(truth)
        xs.append(denoised)
    slope, intercept = fit_line(np.stack(xs), np.stack(ys))
    return {
        "frames": len(truths),
        "psnr_raw": float(np.mean(raw_db)),
        "psnr_denoised": float(np.mean(denoised_db)),
        "gain": float(np.mean(denoised_db) - np.mean(raw_db)),
        "slope_truth_on_denoised": slope,
        "intercept": intercept,
    }


def fmd(settings: list[str]) -> dict:
    """50 captures of one confocal field, two per second; the later 40 against the mean of 50."""
    files = sorted((DATA / "fmd_50captures" / "raw").glob("*.png"))
    truth = np.asarray(Image.open(DATA / "fmd_50captures" / "gt_avg50.png"))
    watched = Watched(len(files), *settings)
    stream(watched, [(f.name, lambda to, f=f: shutil.copyfile(f, to)) for f in files], RATE_HZ)
    found = watched.end()
    return found | score(watched.store, {FrameKey(t): truth for t in range(10, 50)}, 255, uint8=True)


def lysosome(settings: list[str]) -> dict:
    """A moving series with known Poisson-Gaussian noise and an exact reference."""
    clean = tifffile.imread(DATA / "lysosome_timelapse" / "01.tif").astype(np.float64)
    median, top = np.median(clean), np.percentile(clean, 99.9)
    truth = 20 * np.clip(clean - median, 0, None) / (top - median) + 1
    rng = np.random.default_rng(0)
    noisy = (rng.poisson(truth) + rng.normal(0, 1.6, truth.shape)).astype(np.float32)
    watched = Watched(len(noisy), *settings)
    files = [
        (f"frame_{t:03d}.tif", lambda to, t=t: tifffile.imwrite(to, noisy[t])) for t in range(len(noisy))
    ]
    stream(watched, files, RATE_HZ)
    found = watched.end()
    return found | score(watched.store, {FrameKey(t): truth[t] for t in range(10, len(truth))}, 20)


def fura2(settings: list[str]) -> dict:
    """Two channels of a live calcium series: weak signal on a large background."""
    stack = tifffile.imread(DATA / "fura2_timelapse" / "Fura2_PC12_T30C2_424x492_u16.tif")
    watched = Watched(60, "--set", r"source.pattern=t(?P<t>\d+)_c(?P<c>\d+)\.tif", *settings)
    files = [
        (f"t{t:03d}_c{c}.tif", lambda to, t=t, c=c: tifffile.imwrite(to, stack[t, c]))
        for t in range(stack.shape[0])
        for c in range(stack.shape[1])
    ]
    stream(watched, files, 2 * RATE_HZ)
    return watched.end()


def memory(settings: list[str]) -> dict:
    """2,000 frames of 512×512 faster than the denoiser can follow; resident memory of every process."""
    work = Path(tempfile.mkdtemp(prefix="quietscope-bench-"))
    command = [sys.executable, "-m", "quietscope.daemon", "demo", "--out", str(work), "--name", "run"]
    changes = ["source.frames=2000", "source.channels=mitochondria", "source.rate_hz=20"]
    command += [part for change in changes for part in ("--set", change)]
    status = subprocess.run(
        [*command, "--json", str(work / "summary.json"), *settings], cwd=work, check=False
    )
    peaks: dict[str, dict[str, float]] = {}
    live = False
    for line in (work / "run" / "log.jsonl").read_text().splitlines():
        event = json.loads(line)
        live |= event["event"] == "model_live"
        if "rss_mb" in event:
            one = peaks.setdefault(event["from"], {"peak": 0.0, "peak_once_live": 0.0})
            one["peak"] = max(one["peak"], event["rss_mb"])
            if live:
                one["peak_once_live"] = max(one["peak_once_live"], event["rss_mb"])
    summary = json.loads((work / "summary.json").read_text())
    return {"exit_status": status.returncode, "summary": summary, "memory_mb": peaks}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outcome", choices=["fmd", "lysosome", "fura2", "memory"])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    settings = [part for change in arguments.set for part in ("--set", change)]
    measure = {"fmd": fmd, "lysosome": lysosome, "fura2": fura2, "memory": memory}[arguments.outcome]
    print(json.dumps(measure(settings), indent=1))


if __name__ == "__main__":
    main()
