"""The viewers' side of the processor: its own thread, so that a late viewer is served while a frame is denoised."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from quietscope.adapters.frame import FrameKey, Pixels, Series
from quietscope.adapters.publisher import Publisher
from quietscope.adapters.wire_headers import FrameKind, Quality
from quietscope.config import QuietscopeError
from quietscope.config.system import PublishSettings

__all__ = ["Publication", "PublishingThread"]

_WAIT_S = 2.0
_POLL_MS = 30


@dataclass(slots=True, eq=False)
class Publication:
    """One frame to be shown; nobody changes its pixels any more."""

    kind: FrameKind
    key: FrameKey
    pixels: Pixels
    received_ns: int
    model_id: str | None = None
    light: str | None = None
    reason: str = ""
    quality: Quality = "full"
    published_ns: int | None = None
    done: threading.Event = field(default_factory=threading.Event)


class PublishingThread:
    """Owns the publisher.

    Parameters
    ----------
    settings
        The viewers' wire.
    on_trouble
        Called with words when a frame could not be published.
    keys
        Folder of CURVE keys that viewers must have, if any.
    """

    def __init__(
        self, settings: PublishSettings, *, on_trouble: Callable[[str], None], keys: Path | None = None
    ) -> None:
        self._on_trouble = on_trouble
        self._queue: queue.Queue[Publication | Series | tuple[Quality, str]] = queue.Queue(maxsize=16)
        self._stop = threading.Event()
        self._context = zmq.Context()
        self._publisher = Publisher(settings, keys=keys)
        self.endpoint = self._publisher.endpoint
        self._waker: zmq.Socket[bytes] = self._context.socket(zmq.PAIR)
        self._waker.bind("inproc://publish")
        self._awake: zmq.Socket[bytes] = self._context.socket(zmq.PAIR)
        self._awake.connect("inproc://publish")
        self._thread = threading.Thread(target=self._run, name="publisher")
        self._thread.start()

    @property
    def refused(self) -> int:
        """Viewers that had no key or a wrong one."""
        return self._publisher.refused

    def start_series(self, series: Series) -> None:
        """Tell viewers what the frames have in common."""
        self._put(series)

    def change_quality(self, quality: Quality, reason: str) -> None:
        """Tell viewers how good the newest pictures are from now on, and why."""
        self._put((quality, reason))

    def publish(self, publication: Publication) -> int | None:
        """Publish a frame; the time of publication in nanoseconds since the epoch, or None if it failed."""
        if self._put(publication):
            publication.done.wait(_WAIT_S)
        return publication.published_ns

    def close(self) -> None:
        """Tell viewers that the series has ended, and end."""
        self._stop.set()
        self._waker.send(b"")
        self._thread.join()
        self._waker.close()
        self._context.term()

    def _put(self, item: Publication | Series | tuple[Quality, str]) -> bool:
        try:
            self._queue.put(item, timeout=_WAIT_S)
        except queue.Full:
            self._on_trouble(
                "the publisher does not keep up; a frame was not shown (it is stored all the same)"
            )
            return False
        self._waker.send(b"")
        return True

    def _run(self) -> None:
        while not (self._stop.is_set() and self._queue.empty()):
            if self._awake.poll(_POLL_MS):
                self._awake.recv()
            self._publisher.poll()
            self._show()
        self._publisher.end("the run has ended")
        self._publisher.close()
        self._awake.close()

    def _show(self) -> None:
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return
            try:
                if isinstance(item, Series):
                    self._publisher.update_series(item)
                    continue
                if isinstance(item, tuple):
                    self._publisher.update_quality(*item)
                    continue
                self._publisher.publish(
                    item.kind,
                    item.key,
                    item.pixels,
                    received_ns=item.received_ns,
                    model=item.model_id,
                    light=item.light,
                    reason=item.reason,
                    quality=item.quality,
                    copy=False,
                )
                item.published_ns = time.time_ns()
            except QuietscopeError as error:
                self._on_trouble(f"could not publish: {error}")
            finally:
                if isinstance(item, Publication):
                    item.done.set()
