"""The live side of the viewer: one subscriber for all browsers, of which only the newest pictures are kept."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from quietscope.adapters.frame import FrameKey, Pixels
from quietscope.adapters.subscriber import ReceivedFrame, Subscriber
from quietscope.adapters.viewer.pictures import Picture
from quietscope.adapters.wire_headers import FrameHeader, FrameKind
from quietscope.config.errors import QuietscopeError, WireTimeoutError

__all__ = ["Hub"]

_KINDS: tuple[FrameKind, ...] = ("raw", "denoised", "preview", "trust")
_RAW_KEPT = 3
_ALONE_NS = 2_000_000_000
"""A raw frame is shown alone where nothing denoised has come for so long."""
_POLL_S = 0.2


class Hub:
    """Listens to a publisher in a thread of its own and pairs what belongs together.

    Parameters
    ----------
    on_picture
        Called from the hub's thread with every new picture; must return at once.
    keys
        Folder of the keys that the publisher demands, if any.
    """

    def __init__(self, on_picture: Callable[[Picture], None], *, keys: Path | None = None) -> None:
        self._keys = keys
        self._on_picture = on_picture
        self._lock = threading.Lock()
        self._newest: dict[int, tuple[int, Picture]] = {}
        self._serial = 0
        self._endpoint: str | None = None
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._raw: dict[int, dict[FrameKey, Pixels]] = {}
        self._processed_at: dict[int, int] = {}
        self._trust: dict[int, ReceivedFrame] = {}
        self._thread = threading.Thread(target=self._run, name="viewer-hub")
        self._thread.start()

    def connect(self, endpoint: str | None) -> None:
        """Listen to the publisher at `endpoint` from now on; None leaves."""
        with self._lock:
            if endpoint == self._endpoint:
                return
            self._endpoint = endpoint
        self._changed.set()

    def newest(self, channel: int) -> tuple[int, Picture] | None:
        """Serial number and newest picture of a channel, or None; a trust map that joins it leaves the number."""
        with self._lock:
            return self._newest.get(channel)

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._changed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._changed.clear()
            with self._lock:
                endpoint = self._endpoint
            if endpoint is None:
                self._changed.wait(_POLL_S)
                continue
            try:
                with Subscriber(
                    endpoint, kinds=_KINDS, timeout=_POLL_S, until_end=False, keys=self._keys
                ) as frames:
                    self._listen(frames)
            except QuietscopeError:
                # The keys are not here, or it does not speak our protocol: perhaps the run soon says otherwise.
                self._changed.wait(1.0)

    def _listen(self, frames: Subscriber) -> None:
        while not self._changed.is_set():
            try:
                frame = frames.receive()
            except WireTimeoutError:
                continue
            if frame is not None and frame.kind == "trust":
                self._take_trust(frame)
            elif frame is not None:
                self._take(frame)

    def _take(self, frame: ReceivedFrame) -> None:
        """Put a frame with what is known of the same place, and show it unless something newer is on screen."""
        channel, key = frame.key.c, frame.key
        last = self._newest.get(channel)
        same = last is not None and last[1].key == key
        if frame.kind == "raw":
            self._keep_raw(frame)
            alone = frame.header.quality == "raw"  # nothing will be made of it while it is new
            if not (same or alone) and time.time_ns() - self._processed_at.get(channel, 0) < _ALONE_NS:
                return  # its denoised frame is on the way
        else:
            self._processed_at[channel] = time.time_ns()
        planes: dict[str, Pixels] = {}
        if last is not None and same:
            planes.update(last[1].planes)
        elif key in self._raw.get(channel, {}):
            planes["raw"] = self._raw[channel][key]
        planes[frame.kind] = frame.pixels
        if "denoised" in planes:
            planes.pop("preview", None)
        self._show(frame.header, planes)

    def _take_trust(self, frame: ReceivedFrame) -> None:
        """Join a trust map to the picture on screen, or keep it for its denoised frame if that comes later."""
        with self._lock:
            self._trust[frame.key.c] = frame
            last = self._newest.get(frame.key.c)
            if last is None or last[1].key != frame.key:
                return
            picture = self._trusted(last[1])
            self._newest[frame.key.c] = last[0], picture
        self._on_picture(picture)

    def _trusted(self, picture: Picture) -> Picture:
        """The picture with its trust map and light, if they are here."""
        frame = self._trust.get(picture.key.c)
        if frame is None or frame.key != picture.key or "denoised" not in picture.planes:
            return picture
        planes = {**picture.planes, "trust": frame.pixels}
        return replace(picture, planes=planes, light=frame.header.light, reason=frame.header.reason)

    def _keep_raw(self, frame: ReceivedFrame) -> None:
        kept = self._raw.setdefault(frame.key.c, {})
        kept.pop(frame.key, None)
        kept[frame.key] = frame.pixels
        while len(kept) > _RAW_KEPT:
            del kept[next(iter(kept))]

    def _show(self, header: FrameHeader, planes: dict[str, Pixels]) -> None:
        with self._lock:
            last = self._newest.get(header.key.c)
            if last is not None and header.received_ns < last[1].received_ns:
                return  # denoised late: it is in the store, and the newest stays on screen
            model = header.model
            if model is None and last is not None and last[1].key == header.key:
                model = last[1].model
            picture = self._trusted(
                Picture(
                    header.key,
                    planes,
                    live=True,
                    received_ns=header.received_ns,
                    published_ns=header.published_ns,
                    model=model,
                    quality=header.quality,
                )
            )
            self._serial += 1
            self._newest[header.key.c] = self._serial, picture
        self._on_picture(picture)
