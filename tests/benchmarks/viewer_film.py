"""The moving picture of the viewer in README.md, and the picture of raw, denoised and truth: one simulated live run.

::

    python tests/benchmarks/viewer_film.py OUT docs/images/live.webp [--demo docs/images/demo.png]

Runs `quietscope demo --view` into the folder OUT with headless Chromium on the page: the preview before there is a
model, the moment when the last channel gets its model, and the divider being dragged. Of the minutes of training only
the end is kept, and a time point, every 2.5 s in the run, lasts half a second of the film. Ends the run as Ctrl-C does.
"""

import argparse
import io
import itertools
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from chromium import Chromium
from PIL import Image

NAME = "living-cell"
SIZE = (1200, 640)
TIME_POINT_MS = 500
DRAG_MS = 70
HOLD_MS = 1100
QUALITY = 82
SHOWN = "document.querySelector('#image').dataset.shown ?? ''"
NEXT_FRAME = "new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(() => resolve(true))))"


class Film:
    """Screenshots of a page, and how long each is shown."""

    def __init__(self, browser: Chromium) -> None:
        self._browser = browser
        self._pictures: list[Image.Image] = []
        self._times_ms: list[int] = []

    def look(self) -> Image.Image:
        """What the page looks like now."""
        return Image.open(io.BytesIO(self._browser.screenshot())).convert("RGB")

    def add(self, picture: Image.Image, ms: int) -> None:
        """Show a picture next."""
        self._pictures.append(picture)
        self._times_ms.append(ms)

    def save(self, path: Path) -> None:
        """Write it as animated WebP, which browsers show like any picture."""
        first, *others = self._pictures
        first.save(
            path,
            save_all=True,
            append_images=others,
            duration=self._times_ms,
            loop=0,
            quality=QUALITY,
            method=6,
        )
        seconds, megabytes = sum(self._times_ms) / 1e3, path.stat().st_size / 1e6
        print(f"{path}: {len(self._pictures)} pictures, {seconds:.1f} s, {megabytes:.2f} MB")


def start(out: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the run; the process, and the address of its viewer."""
    command = [sys.executable, "-m", "quietscope.daemon", "demo", "--out", ".", "--name", NAME, "--view"]
    settings = ("view.open_browser=false", "source.frames=2000", "source.rate_hz=0.4")
    for setting in settings:
        command += ["--set", setting]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=out)
    assert run.stdout is not None
    for line in run.stdout:
        if line.startswith("viewer: "):
            return run, line.split()[1]
    raise AssertionError("the run has ended before it began")


def next_time_point(browser: Chromium, last: str) -> str:
    """Wait until a time point that is not `last` is on the screen in all channels, in full; what it is."""
    full = "!document.querySelector('#caption-raw').innerText.includes('averaged')"
    together = "new Set(s.split(' ').map(c => parseInt(c))).size === 1"
    return browser.wait(
        f"{full} && (s => parseInt(s) !== parseInt('{last}') && {together} && s)({SHOWN})", timeout_s=120
    )


def until_denoised(browser: Chromium, film: Film, timeout_s: float) -> None:
    """Film the preview, and how the last channel gets its model."""
    deadline = time.monotonic() + timeout_s
    shown = ""
    latest: deque[Image.Image] = deque(maxlen=3)
    for _ in range(4):
        shown = next_time_point(browser, shown)
        film.add(film.look(), TIME_POINT_MS)
    while not all("denoised" in part for part in shown.split(" ")):
        latest.append(film.look())
        print(f"{deadline - time.monotonic():.0f} s left: {shown}", flush=True)
        assert time.monotonic() < deadline, "a channel has got no model"
        shown = next_time_point(browser, shown)
    for picture in latest:
        film.add(picture, TIME_POINT_MS)
    browser.wait("document.querySelectorAll('#verdicts b').length === 2")
    film.add(film.look(), HOLD_MS)
    for _ in range(2):
        shown = next_time_point(browser, shown)
        film.add(film.look(), TIME_POINT_MS)


def drag(browser: Chromium, film: Film) -> None:
    """Film the divider, over a picture that holds still."""
    browser.press("l")
    browser.press("v")
    browser.wait("document.querySelector('#image').dataset.shown.includes('denoised')")
    width, y = browser.evaluate("document.querySelector('#stage').clientWidth"), SIZE[1] / 2
    stops = (0.5, 0.22, 0.78, 0.5)
    browser.mouse("mouseMoved", stops[0] * width, y)
    browser.mouse("mousePressed", stops[0] * width, y, button="left", buttons=1, clickCount=1)
    film.add(film.look(), HOLD_MS // 2)
    for start_at, stop_at in itertools.pairwise(stops):
        steps = round(abs(stop_at - start_at) / 0.035)
        for step in range(1, steps + 1):
            x = (start_at + (stop_at - start_at) * step / steps) * width
            browser.mouse("mouseMoved", x, y, button="left", buttons=1)
            browser.evaluate(NEXT_FRAME)
            film.add(film.look(), DRAG_MS)
    browser.mouse("mouseReleased", stops[-1] * width, y, button="left", clickCount=1)
    film.add(film.look(), HOLD_MS)


def main() -> None:
    """Run, film, end the run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the run")
    parser.add_argument("film", type=Path)
    parser.add_argument("--demo", type=Path, help="where to put raw, denoised and truth")
    parser.add_argument("--timeout", type=float, default=900, help="longest training, seconds")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    run, address = start(chosen.out)
    try:
        with Chromium(*SIZE) as browser:
            browser.open(address)
            if browser.evaluate("document.documentElement.dataset.theme") == "light":
                browser.press("d")
            browser.evaluate("document.fonts.ready.then(() => true)")
            browser.wait("document.querySelector('#state').innerText.includes('learning')", timeout_s=120)
            film = Film(browser)
            until_denoised(browser, film, chosen.timeout)
            drag(browser, film)
            assert not browser.complaints, browser.complaints
    finally:
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate(timeout=600)
        print(said)
    film.save(chosen.film)
    if chosen.demo is not None:
        shutil.copy(chosen.out / "demo.png", chosen.demo)


if __name__ == "__main__":
    main()
