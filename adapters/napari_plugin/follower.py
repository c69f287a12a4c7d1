"""The listening half of the live widget: a thread that keeps the newest frame of each kind and channel."""

import threading
from pathlib import Path

from quietscope.adapters.frame import Series
from quietscope.adapters.subscriber import ReceivedFrame, Subscriber
from quietscope.adapters.wire_headers import FrameKind
from quietscope.config.errors import QuietscopeError, WireTimeoutError

__all__ = ["Follower"]

_KINDS: tuple[FrameKind, ...] = ("raw", "preview", "denoised", "trust")
_POLL_S = 0.2
_AGAIN_S = 1.0


class Follower:
    """Listens to a publisher. Whatever the display does meanwhile, at most one frame of each kind and channel waits.

    Parameters
    ----------
    endpoint
        Address of the publisher, ``tcp://HOST:PORT``.
    keys
        Folder of the keys that the publisher demands, if any.
    """

    def __init__(self, endpoint: str, *, keys: Path | None = None) -> None:
        self._endpoint = endpoint
        self._keys = keys
        self._lock = threading.Lock()
        self._newest: dict[tuple[FrameKind, int], ReceivedFrame] = {}
        self._stop = threading.Event()
        self.series: Series | None = None
        self.ended = False
        self.trouble = ""
        self._thread = threading.Thread(target=self._run, name="napari-follower", daemon=True)
        self._thread.start()

    def take(self) -> list[ReceivedFrame]:
        """The newest frame of each kind and channel that has come since the last call; does not wait."""
        with self._lock:
            frames = list(self._newest.values())
            self._newest.clear()
        return frames

    def close(self) -> None:
        """Leave; returns within two seconds."""
        self._stop.set()
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with Subscriber(
                    self._endpoint, kinds=_KINDS, timeout=_POLL_S, until_end=False, keys=self._keys
                ) as frames:
                    self._listen(frames)
            except QuietscopeError as error:
                self.trouble = str(error)
                self._stop.wait(_AGAIN_S)

    def _listen(self, frames: Subscriber) -> None:
        while not self._stop.is_set():
            try:
                frame = frames.receive()
            except WireTimeoutError:
                frame = None
            self.series, self.ended = frames.series, frames.ended
            if frame is not None:
                self.trouble = ""
                with self._lock:
                    self._newest[frame.kind, frame.key.c] = frame
