"""A real headless Chromium over its own debugging protocol: no further package needed."""

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find_chromium() -> str | None:
    """The program, named by QUIETSCOPE_CHROMIUM or found on the path."""
    named = os.environ.get("QUIETSCOPE_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """One page of a headless browser with WebGL in software.

    Parameters
    ----------
    width, height
        Size of the page, pixels.
    arguments
        Further arguments of the program.
    """

    def __init__(self, width: int = 1280, height: int = 800, arguments: tuple[str, ...] = ()) -> None:
        program = find_chromium()
        assert program is not None
        self._folder = Path(tempfile.mkdtemp(prefix="chromium-"))
        self._numbers = itertools.count(1)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.downloads = self._folder / "downloads"
        self.downloads.mkdir()
        self.process = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--no-sandbox",
                "--use-angle=swiftshader",
                "--enable-unsafe-swiftshader",
                "--disable-gpu-compositing",  # as on a computer without a graphics card
                "--hide-scrollbars",
                "--no-first-run",
                "--disable-extensions",
                "--disable-background-networking",
                "--disable-dev-shm-usage",
                "--force-device-scale-factor=1",
                f"--window-size={width},{height}",
                f"--user-data-dir={self._folder / 'profile'}",
                "--remote-debugging-port=0",
                *arguments,
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._connection = connect(
                self._address(), max_size=None, open_timeout=30, ping_interval=None, proxy=None
            )
            self._socket = self._connection.__enter__()
            self._begin(width, height)
        except BaseException:
            self.close()
            raise

    def _begin(self, width: int, height: int) -> None:
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))

    _session: str | None = None
    _socket: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser and remove its profile."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        if self._socket is not None:
            self._socket.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, method: str, *, timeout_s: float = 60.0, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        deadline = time.monotonic() + timeout_s
        while True:
            answer = json.loads(self._socket.recv(timeout=max(0.0, deadline - time.monotonic())))
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer)

    def open(self, url: str) -> None:
        """Open an address and wait until the page's scripts run."""
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def resize(self, width: int, height: int) -> None:
        """Give the page another size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression: str, timeout_s: float = 30.0, every_s: float = 0.05) -> Any:
        """Wait until an expression is true; its value."""
        deadline = time.monotonic() + timeout_s
        while True:
            value = self.evaluate(expression)
            if value:
                return value
            assert time.monotonic() < deadline, f"never true: {expression}\n{self.complaints}"
            time.sleep(every_s)

    def press(self, key: str) -> None:
        """Press and let go of a key."""
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Send a mouse event: ``mouseMoved``, ``mousePressed``, ``mouseReleased`` or ``mouseWheel``."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def screenshot(self) -> bytes:
        """What the page looks like, PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def _note(self, event: dict[str, Any]) -> None:
        taken: dict[str, Callable[[dict[str, Any]], None]] = {
            "Network.requestWillBeSent": lambda p: self.requests.append(p["request"]["url"]),
            "Network.webSocketCreated": lambda p: self.requests.append(p["url"]),
            "Runtime.exceptionThrown": lambda p: self.complaints.append(json.dumps(p["exceptionDetails"])),
            "Log.entryAdded": lambda p: self.complaints.append(p["entry"]["text"]),
        }
        method, parameters = event.get("method"), event.get("params", {})
        is_remark = method == "Log.entryAdded" and parameters["entry"]["level"] != "error"
        if method in taken and not is_remark:
            taken[method](parameters)

    def _address(self) -> str:
        file = self._folder / "profile" / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while True:
            lines = file.read_text().splitlines() if file.exists() else []
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            assert self.process.poll() is None, "Chromium has ended"
            assert time.monotonic() < deadline, "Chromium does not start"
            time.sleep(0.05)
