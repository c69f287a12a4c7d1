"""A user's session in a real napari, as a program of its own: opens a run, follows it live, tells what was seen.

Called with the folder to work in and the number of frames to follow; writes JSON to its standard output.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.utils.notifications import NotificationSeverity, notification_manager
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QPushButton
from run_folder import LivePublisher, make_run, plane

from quietscope.adapters.control import Answer, Request
from quietscope.adapters.control_server import ControlServer
from quietscope.adapters.frame import FrameKey, Series
from quietscope.adapters.ome_zarr import StoreWriter
from quietscope.config.system import ControlSettings, StoreSettings

SIDE = 600
CHANNELS = ("actin", "tubulin")
LIVE = "actin"


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Let napari work until something is true; whether it became so in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        QApplication.processEvents()
        time.sleep(0.001)
    return True


def told(layer: Any) -> dict[str, Any]:
    """What a layer of an opened run looks like."""
    levels = layer.data if layer.multiscale else [layer.data]
    return {
        "name": layer.name,
        "shape": list(levels[0].shape),
        "levels": len(levels),
        "scale": [float(s) for s in layer.scale],
        "units": [str(u) for u in layer.units],
        "axes": list(layer.axis_labels),
        "colours": [float(v) for v in layer.colormap.colors[-1]],
        "limits": [float(v) for v in layer.contrast_limits],
        "visible": bool(layer.visible),
    }


class Heart:
    """Beats 200 times a second if napari lets it."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._last = time.monotonic()
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(5)

    def _beat(self) -> None:
        now = time.monotonic()
        self.longest_s = max(self.longest_s, now - self._last)
        self._last = now

    def reset(self) -> None:
        self._last, self.longest_s = time.monotonic(), 0.0


class Daemon:
    """Answers on the control wire as a run does."""

    def __init__(self, run: Path) -> None:
        self.seen: dict[str, Any] = {"asked": []}
        self._paused = False
        self.server = ControlServer(
            ControlSettings(), keys=None, on_request=self._hear, on_rejected=lambda _: None
        )
        endpoints = run / "endpoints.json"
        content = json.loads(endpoints.read_text()) | {"control": self.server.endpoint}
        endpoints.write_text(json.dumps(content))

    def _hear(self, number: int, request: Request) -> None:
        if request.command != "status":
            self.seen["asked"].append(request.model_dump())
            self._paused = request.command == "pause"
        words = "denoising is paused" if self._paused else "denoising goes on"
        status = {"paused": self._paused, "last_words": words, "channels": [{"name": LIVE}]}
        self.server.answer(number, Answer(ok=True, text="obeyed", status=status))


def press(widget: Any) -> dict[str, Any]:
    """Press the buttons of the dock widget, and read what they say."""
    retrain, pause = (widget.findChild(QPushButton, name) for name in ("retrain", "pause"))
    words = widget.findChild(QLabel, "words")
    widget.findChild(QComboBox, "method").setCurrentText("FM2S")
    buttons = [pause.text()]
    retrain.click()
    wait_until(pause.isEnabled)
    pause.click()
    wait_until(lambda: pause.text() == "Go on denoising")
    buttons.append(pause.text())
    said = words.text()
    pause.click()
    wait_until(lambda: pause.text() == "Pause denoising")
    return {"buttons": [*buttons, pause.text()], "words": said}


def main(folder: Path, frames: int) -> dict[str, Any]:
    """Do what a user does."""
    run = make_run(folder / "run", side=SIDE, frames=3, channels=CHANNELS)
    store = StoreWriter(
        run, Series(SIDE, SIDE, "uint16", CHANNELS, "test", 0.1), StoreSettings(), resume=True
    )
    store.write("trust", FrameKey(1), np.full((SIDE, SIDE), 7, np.uint8))
    viewer = napari.Viewer()
    found: dict[str, Any] = {}
    opened = viewer.open(str(run), plugin="quietscope")
    found["layers"] = [told(layer) for layer in opened]
    same = [
        np.array_equal(np.asarray(layer.data[0][1]), plane(layer.name.split(":")[0], 1, c % 2, SIDE))
        for c, layer in enumerate(opened[:4])
    ]
    found["pixels_equal"] = all(same)
    found["trust_values"] = [np.unique(np.asarray(opened[4].data[0][t])).tolist() for t in (0, 1)]
    publisher = LivePublisher(run, side=SIDE, channels=(LIVE,))
    daemon = Daemon(run)
    try:
        found |= follow(viewer, publisher, run, frames)
        found |= daemon.seen
    finally:
        daemon.server.close()
        publisher.close()
    viewer.screenshot(str(folder / "napari.png"), canvas_only=False, flash=False)
    viewer.window.remove_dock_widget("all")
    wait_until(lambda: "napari-follower" not in {thread.name for thread in threading.enumerate()}, 5.0)
    found["thread_left"] = "napari-follower" in {thread.name for thread in threading.enumerate()}
    found["errors"] = [
        str(note.message)
        for note in notification_manager.records
        if note.severity in {NotificationSeverity.ERROR, NotificationSeverity.WARNING}
    ]
    viewer.close()
    return found


def follow(viewer: Any, publisher: LivePublisher, run: Path, frames: int) -> dict[str, Any]:
    """Follow the publisher through the dock widget."""
    _, widget = viewer.window.add_plugin_dock_widget("quietscope", "Follow a run live")
    target, button, status = (
        widget.findChild(kind, name)
        for kind, name in ((QLineEdit, "target"), (QPushButton, "follow"), (QLabel, "status"))
    )
    found: dict[str, Any] = {}
    target.setText(str(run / "logs"))
    button.click()
    found["wrong_folder"] = status.text()
    target.setText(str(run))
    button.click()

    def shows(t: int) -> Callable[[], bool]:
        expected = {f"live {kind}: {LIVE}": plane(kind, t, 0, SIDE) for kind in ("raw", "denoised")}
        layers = viewer.layers
        return lambda: all(n in layers and np.array_equal(layers[n].data, p) for n, p in expected.items())

    publisher.publish(0, 1)  # the first frame adds the layers
    wait_until(shows(0))
    found |= press(widget)
    heart = Heart()
    found["updates"] = 0
    for t in range(frames):
        publisher.publish(t, t + 1)
        found["updates"] += wait_until(shows(t))
        if t == 0:
            heart.reset()  # the first frame adds the layers
    found["longest_wait_s"] = heart.longest_s
    thread = threading.Thread(target=publisher.publish, args=(frames, 2 * frames, 0.0))
    thread.start()
    wait_until(lambda: not thread.is_alive())
    thread.join()
    found["newest_after_burst"] = wait_until(shows(2 * frames - 1))
    found["status"] = status.text()
    found["scale"] = [float(s) for s in viewer.layers[f"live denoised: {LIVE}"].scale]
    viewer.layers.remove(f"live raw: {LIVE}")
    publisher.publish(2 * frames, 2 * frames + 1)
    wait_until(lambda: f"{2 * frames}" in status.text())
    found["removed_layer_is_back"] = f"live raw: {LIVE}" in viewer.layers
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
