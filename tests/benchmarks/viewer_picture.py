"""The picture of the viewer in README.md: a finished run in headless Chromium.

::

    python tests/benchmarks/viewer_picture.py RUN docs/images/viewer.png [--t 7]
"""

import argparse
import io
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from chromium import Chromium
from PIL import Image
from run_folder import ViewCommand

SHOWN = "document.querySelector('#image').dataset.shown"


def main() -> None:
    """Show a time point with its doubtful places marked, and save what the page looks like."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--t", type=int, default=0, help="time point")
    chosen = parser.parse_args()
    view = ViewCommand(chosen.run.resolve())
    try:
        with Chromium(1280, 660) as browser:
            browser.open(view.url)
            browser.wait(SHOWN)
            if browser.evaluate("document.documentElement.dataset.theme") == "light":
                browser.press("d")
            browser.press("t")
            browser.evaluate(
                f"(() => {{ const time = document.querySelector('#time'); time.value = {chosen.t};"
                "time.dispatchEvent(new Event('input')); })()"
            )
            browser.wait(
                f"{SHOWN}.split(' ').every(s => s.startsWith('{chosen.t}/') && s.endsWith('+trust'))"
            )
            for channel in range(1, browser.evaluate("document.querySelectorAll('.channel').length")):
                browser.press(str(channel + 1))  # one channel: the noise of two makes a megabyte
            # Coarse pictures are followed by full ones, and captions by their fonts.
            browser.wait("!document.querySelector('#caption-raw').innerText.includes('averaged')")
            browser.evaluate("document.fonts.ready.then(() => new Promise(requestAnimationFrame))")
            shown = Image.open(io.BytesIO(browser.screenshot())).convert("RGB")
            shown.save(chosen.picture, optimize=True)
            assert not browser.complaints, browser.complaints
    finally:
        view.close()


if __name__ == "__main__":
    main()
