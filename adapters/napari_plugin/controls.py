"""Buttons that ask something of a run that goes on; answers come from a thread, so that napari never waits."""

import queue
import threading
import time
from pathlib import Path

from quietscope.adapters.control import Answer, ControlClient, Request
from quietscope.config.errors import QuietscopeError
from quietscope.config.methods import METHOD_NAMES

__all__ = ["Controls"]

_ANSWER_S = 5.0
_LOOK_S = 2.0
_SOON_S = 0.3
"""After a command it is asked sooner what has become of it."""

_OWN = "method of the run"
_ALL = "all channels"


class Controls:
    """Pause, go on, train again, and what the run says about it."""

    def __init__(self) -> None:
        from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QPushButton, QWidget

        self._client: ControlClient | None = None
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._asking = False
        self._asked_at = 0.0
        self._paused = False
        self._names: list[str] = []
        self._pause = QPushButton("Pause denoising")
        self._pause.setObjectName("pause")
        self._pause.setToolTip("Raw frames are recorded all the same, and denoised afterwards.")
        self._pause.clicked.connect(
            lambda: self._ask(Request(command="continue" if self._paused else "pause"))
        )
        self._channel = QComboBox()
        self._channel.addItem(_ALL)
        self._method = QComboBox()
        self._method.setObjectName("method")
        self._method.addItems([_OWN, *METHOD_NAMES.values()])
        self._retrain = QPushButton("Train again")
        self._retrain.setObjectName("retrain")
        self._retrain.setToolTip(
            "A new model learns from the newest frames, and takes over only if it is better."
        )
        self._retrain.clicked.connect(self._train)
        self._words = QLabel()
        self._words.setObjectName("words")
        self._words.setWordWrap(True)
        self.widget = QWidget()
        grid = QGridLayout(self.widget)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self._pause, 0, 0, 1, 2)
        grid.addWidget(self._channel, 1, 0)
        grid.addWidget(self._method, 1, 1)
        grid.addWidget(self._retrain, 2, 0, 1, 2)
        grid.addWidget(self._words, 3, 0, 1, 2)
        self.widget.setVisible(False)

    def attach(self, endpoint: str | None, keys: Path | None) -> None:
        """Ask the run at this address from now on; without one there is nothing to press.

        Parameters
        ----------
        endpoint
            Address of the run's control wire.
        keys
            Folder of the keys that the run demands, if any.
        """
        self._client = None if endpoint is None else ControlClient(endpoint, keys=keys, timeout=_ANSWER_S)
        self._answers = queue.SimpleQueue()
        self._asking, self._asked_at = False, 0.0
        self._words.setText("")
        self.widget.setVisible(endpoint is not None)

    def look(self, *, goes_on: bool) -> None:
        """Show what has been answered, and while the run goes on ask now and then how things stand; does not wait."""
        if not goes_on:
            self.widget.setVisible(False)
            return
        while not self._answers.empty():
            self._take(self._answers.get())
        if not self._asking and time.monotonic() - self._asked_at > _LOOK_S:
            self._ask(Request(command="status"))

    def _train(self) -> None:
        channel = self._channel.currentIndex() - 1
        method = [None, *METHOD_NAMES][self._method.currentIndex()]
        self._ask(Request(command="retrain", channel=None if channel < 0 else channel, method=method))

    def _ask(self, request: Request) -> None:
        client, answers = self._client, self._answers
        if client is None:
            return
        self._asking, self._asked_at = True, time.monotonic()
        if request.command != "status":
            self._asked_at -= _LOOK_S - _SOON_S
            self._pause.setEnabled(False)
            self._retrain.setEnabled(False)

        def ask() -> None:
            try:
                answers.put(client.ask(request.command, channel=request.channel, method=request.method))
            except QuietscopeError as error:
                answers.put(Answer(ok=False, text=str(error)))

        threading.Thread(target=ask, name="napari-control", daemon=True).start()

    def _take(self, answer: Answer) -> None:
        self._asking = False
        self._pause.setEnabled(True)
        self._retrain.setEnabled(True)
        self._words.setText(answer.text if not answer.ok else _words(answer))
        if not answer.status:
            return
        self._paused = bool(answer.status.get("paused"))
        self._pause.setText("Go on denoising" if self._paused else "Pause denoising")
        names = [str(channel["name"]) for channel in answer.status.get("channels", [])]
        if names != self._names:
            self._names = names
            self._channel.clear()
            self._channel.addItems([_ALL, *names])


def _words(answer: Answer) -> str:
    """The newest that the run has to say."""
    training = answer.status.get("retraining")
    if training:
        return f"{training['name']}: a new model is trained, {training['used']:.0%}"
    return str(answer.status.get("last_words") or answer.text)
