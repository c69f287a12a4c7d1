"""The widget that follows a run: an address, buttons, and lines that say how it goes."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quietscope.adapters.endpoints import local_endpoint
from quietscope.adapters.napari_plugin.controls import Controls
from quietscope.adapters.napari_plugin.follower import Follower
from quietscope.adapters.napari_plugin.live_layers import LiveLayers
from quietscope.config.errors import WireError

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

__all__ = ["live_dock"]

_PERIOD_MS = 33
"""Time between two looks at what has come, milliseconds; longer if showing it takes longer."""


def live_dock() -> "QWidget":
    """Make the widget *Follow a run live* for the viewer that is open; napari calls this.

    Returns
    -------
    QWidget
        The widget; it leaves the run when it is closed.
    """
    from napari import current_viewer

    return _LiveDock(current_viewer()).widget


class _LiveDock:
    """Connects what the user types with a `Follower`, and a timer of Qt with `LiveLayers`."""

    def __init__(self, viewer: Any) -> None:
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import (
            QFileDialog,
            QFormLayout,
            QHBoxLayout,
            QLabel,
            QLineEdit,
            QPushButton,
            QWidget,
        )

        self._viewer = viewer
        self._follower: Follower | None = None
        self._layers = LiveLayers(viewer)
        self._choose = QFileDialog.getExistingDirectory
        self._target = QLineEdit()
        self._target.setPlaceholderText("run folder, or tcp://HOST:PORT")
        self._target.setObjectName("target")
        self._target.returnPressed.connect(self._toggle)
        browse = QPushButton("Choose…")
        browse.clicked.connect(self._browse)
        self._keys = QLineEdit()
        self._keys.setPlaceholderText("only if the run demands keys")
        self._button = QPushButton("Follow")
        self._button.setObjectName("follow")
        self._button.clicked.connect(self._toggle)
        self._status = QLabel("Not connected.")
        self._status.setObjectName("status")
        self._status.setWordWrap(True)
        self._controls = Controls()
        row = QHBoxLayout()
        row.addWidget(self._target)
        row.addWidget(browse)
        self.widget = QWidget()
        form = QFormLayout(self.widget)
        form.addRow("Run", row)
        form.addRow("Keys folder", self._keys)
        form.addRow(self._button)
        form.addRow(self._status)
        form.addRow(self._controls.widget)
        self._timer = QTimer(self.widget)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._look)
        # Qt keeps only the widget alive; this object must live as long, and leave the run when napari is closed.
        self.widget.follows = self
        self.widget.destroyed.connect(self._leave)

    def _browse(self) -> None:
        folder = self._choose(self.widget, "Folder of a run")
        if folder:
            self._target.setText(folder)

    def _toggle(self) -> None:
        if self._follower is not None:
            self._stop()
            return
        try:
            endpoint, control = _endpoints(self._target.text().strip())
        except WireError as error:
            self._status.setText(str(error))
            return
        typed = self._keys.text().strip()
        keys = Path(typed).expanduser() if typed else None
        self._follower = Follower(endpoint, keys=keys)
        self._controls.attach(control, keys)
        self._layers = LiveLayers(self._viewer)
        self._button.setText("Stop")
        self._status.setText(f"Waiting for {endpoint} …")
        self._timer.start(_PERIOD_MS)

    def _leave(self) -> None:
        if self._follower is not None:
            self._follower.close()
            self._follower = None

    def _stop(self) -> None:
        self._leave()
        self._controls.attach(None, None)
        self._button.setText("Follow")
        self._status.setText("Not connected.")

    def _look(self) -> None:
        """Show what is newest, then rest at least as long as that took, so that napari stays quick to the user."""
        if self._follower is None:
            return
        if self.widget.isWindow():  # taken out of napari's window: the user has closed the widget
            self._leave()
            return
        started = time.monotonic()
        self._controls.look(goes_on=not self._follower.ended)
        frames = self._follower.take()
        for frame in frames:
            self._layers.show(frame, self._follower.series)
        words = self._follower.trouble
        if frames:
            words = f"Live: time point {max(frame.key.t for frame in frames):,}"
        elif self._follower.ended and not words:
            words = "The run has ended. Drop its folder onto napari to see all of it."
        if words:
            self._status.setText(words)
        self._timer.start(max(_PERIOD_MS, round(1000 * (time.monotonic() - started))))


def _endpoints(target: str) -> tuple[str, str | None]:
    """Address of the publisher that the user means, and of the run's control wire, which a run folder tells.

    Raises
    ------
    quietscope.config.WireError
        If it is neither an address nor the folder of a run that is going on.
    """
    if "://" in target:
        return target, None
    if not target:
        raise WireError("Give the folder of a run that is going on, or the address that the run prints.")
    try:
        content = json.loads((Path(target).expanduser() / "endpoints.json").read_text(encoding="utf-8"))
        control = content.get("control")
        return local_endpoint(content["publish"]), None if control is None else local_endpoint(control)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{target} is not the folder of a run that is going on (no endpoints.json). Choose another folder."
        raise WireError(msg) from error
