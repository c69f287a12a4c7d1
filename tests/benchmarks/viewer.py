"""The viewer's figures: from publication to the screen, values under the cursor, and what a stalled browser costs.

::

    python tests/benchmarks/viewer.py latency OUT [--seconds 60] [--model MODELS]
    python tests/benchmarks/viewer.py wire OUT [--rate 2] [--frames 60]
    python tests/benchmarks/viewer.py stalled OUT --model MODELS [--rate 1.0] [--frames 60]

``latency`` runs `quietscope demo --view` at 512 × 512 with headless Chromium (graphics in software) on the page. Once
both channels have their models it notes, for every picture, the time from publication to the first frame of the screen
after the graphics have drawn it, and reads values under the cursor, which are compared with the store afterwards.

``wire`` leaves training and denoising out: a publisher of 512 × 512 frames alone, then with a page that follows, then
with one that is stopped; how long it takes, its memory, and the times from publication to the screen.

``stalled`` runs the same series twice, with the models in MODELS, without a viewer and with one whose browser is
stopped (SIGSTOP) as soon as it shows a picture.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from chromium import Chromium
from run_folder import LivePublisher, ViewCommand, make_run

from quietscope.adapters.frame import FrameKey
from quietscope.adapters.ome_zarr import StoreReader

READOUT = "document.querySelector('#readout')"
READ = """[...document.querySelectorAll('#readout [data-value]')].map(
    e => [e.dataset.value, Number(e.dataset.t), Number(e.innerText.replace(/\\s/g, ''))])"""


def start(out: Path, name: str, *arguments: str, command: str = "demo") -> subprocess.Popen:
    """Start a run; its output goes beside the run folder."""
    parts = [sys.executable, "-m", "quietscope.daemon", command, "--out", str(out), "--name", name]
    with (out / f"{name}.txt").open("w") as said:
        return subprocess.Popen([*parts, *arguments], stdout=said, stderr=subprocess.STDOUT, cwd=out)


def address(out: Path, name: str, run: subprocess.Popen) -> str:
    """The viewer's address, once the run has said it."""
    while not (found := re.search(r"viewer: (\S+)", (out / f"{name}.txt").read_text())):
        if run.poll() is not None:
            raise SystemExit((out / f"{name}.txt").read_text())
        time.sleep(0.2)
    return found[1]


def latency(out: Path, seconds: float, budget_s: float, model: Path | None) -> None:
    """Measure from publication to the screen, and the values under the cursor."""
    settings = (
        "view.open_browser=false",
        f"training.budget_s={budget_s}",
        "source.frames=5000",
        "training.min_steps=60",
    )
    if model is not None:
        settings += (f"training.model={model.resolve()}", "training.frames=2")
    run = start(out, "latency", "--view", *(part for s in settings for part in ("--set", s)))
    with Chromium(1280, 800) as browser:
        browser.open(address(out, "latency", run))
        browser.wait(
            "document.querySelector('#caption-denoised').innerText === 'Denoised'", timeout_s=900, every_s=1
        )
        browser.mouse("mouseMoved", 300, 400)
        load = os.getloadavg()[0]
        ends = time.monotonic() + seconds
        delays, values = {}, set()
        while time.monotonic() < ends:
            for delay in browser.evaluate("quietscope.delays"):
                delays[delay["t"], delay["c"]] = delay["ms"]
            text, read = browser.evaluate(f"[{READOUT}.innerText, {READ}]")
            x, y = map(int, re.match(r"x (\d+) y (\d+)", text).groups())
            values |= {(x, y, *entry) for entry in map(tuple, read)}
            time.sleep(0.3)
        with Path(out / "latency.png").open("wb") as file:
            file.write(browser.screenshot())
    run.send_signal(signal.SIGINT)
    run.wait(900)
    store = StoreReader(out / "latency")
    wrong = compared = 0
    for x, y, name, t, value in values:
        stream, channel = name.split("/")
        if stream != "preview":
            compared += 1
            wrong += store.read(stream, FrameKey(t, int(channel)))[y, x] != value
    figures = {
        "pictures": len(delays),
        "median_ms": float(np.median(list(delays.values()))),
        "p90_ms": float(np.percentile(list(delays.values()), 90)),
        "values_compared": compared,
        "values_wrong": int(wrong),
        "load": load,
    }
    print(json.dumps(figures, indent=1))


def wire(out: Path, rate: float, frames: int) -> None:
    """Measure a publisher alone, with a page that follows, and with one that is stopped."""
    found = {}
    for name in ("alone", "follows", "stopped"):
        root = make_run(out / f"wire-{name}", side=512, frames=1, channels=("a", "b"))
        publisher = LivePublisher(root, side=512, channels=("a", "b"))
        view = ViewCommand(root)
        figures = {"load": os.getloadavg()[0]}
        with Chromium(1280, 800) as browser:
            if name != "alone":
                browser.open(view.url)
                publisher.publish(1, 2)
                browser.wait("document.querySelector('#image').dataset.shown?.startsWith('1/0')")
            if name == "stopped":
                os.killpg(browser.process.pid, signal.SIGSTOP)
            started = time.monotonic()
            for t in range(2, frames + 2):
                publisher.publish(t, t + 1)
                time.sleep(max(0.0, started + (t - 1) / rate - time.monotonic()))
            figures["frames_per_s"] = 2 * frames / (time.monotonic() - started)
            figures["publisher_mb"] = psutil.Process(publisher.process.pid).memory_info().rss / 1e6
            figures["viewer_mb"] = psutil.Process(view.process.pid).memory_info().rss / 1e6
            if name == "follows":
                delays = [delay["ms"] for delay in browser.evaluate("quietscope.delays")]
                figures |= {
                    "pictures": len(delays),
                    "median_ms": float(np.median(delays)),
                    "p90_ms": float(np.percentile(delays, 90)),
                }
        found[name] = figures
        publisher.close()
        view.close()
    print(json.dumps(found, indent=1))


def stalled(out: Path, model: Path, rate: float, frames: int) -> None:
    """Compare a run without a viewer with one whose browser is stopped."""
    found = {}
    for name in ("alone", "stalled"):
        settings = (
            f"training.model={model.resolve()}",
            f"source.frames={frames}",
            f"source.rate_hz={rate}",
            "training.frames=2",
            "view.open_browser=false",
        )
        more = ("--view",) if name == "stalled" else ()
        load = os.getloadavg()[0]
        run = start(
            out,
            name,
            *more,
            *(part for s in settings for part in ("--set", s)),
            "--json",
            str(out / f"{name}.json"),
        )
        if more:
            with Chromium(1280, 800) as browser:
                browser.open(address(out, name, run))
                browser.wait("document.querySelector('#image').dataset.shown", timeout_s=120)
                os.killpg(browser.process.pid, signal.SIGSTOP)
                run.wait(900)
        run.wait(900)
        figures = json.loads((out / f"{name}.json").read_text())
        memory = re.search(r"peak memory\s*[│|]\s*(.+?)\s*[│|]", (out / f"{name}.txt").read_text())
        found[name] = {
            "fps": figures["fps"],
            "published": figures["published"],
            "latency_ms": figures["latency_ms"],
            "memory": memory[1] if memory else None,
            "load": load,
        }
    found["fps_ratio"] = found["stalled"]["fps"] / found["alone"]["fps"]
    found["published_ratio"] = found["stalled"]["published"] / found["alone"]["published"]
    print(json.dumps(found, indent=1))


def main() -> None:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("latency", "wire", "stalled"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--budget", type=float, default=10.0)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--frames", type=int, default=60)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.what == "latency":
        latency(given.out.resolve(), given.seconds, given.budget, given.model)
    elif given.what == "wire":
        wire(given.out.resolve(), given.rate, given.frames)
    else:
        stalled(given.out.resolve(), given.model, given.rate, given.frames)


if __name__ == "__main__":
    main()
