"""The publishing end of the viewers' wire."""

import time
import uuid
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import zmq

from quietscope.adapters.doorkeeper import Doorkeeper
from quietscope.adapters.endpoints import bind
from quietscope.adapters.frame import FrameKey, Pixels, Series
from quietscope.adapters.late_viewers import LateViewers, Message
from quietscope.adapters.wire import INFO_TOPIC, encode, frame_topic
from quietscope.adapters.wire_headers import (
    EndHeader,
    FrameHeader,
    FrameKind,
    HeartbeatHeader,
    Quality,
    StartHeader,
)
from quietscope.config.errors import WireError
from quietscope.config.system import PublishSettings

__all__ = ["Publisher"]

_LINGER_MS = 1000
"""How long `Publisher.close` waits for viewers that still read."""

_REPEAT_PAUSE_NS = 10_000_000
"""Time between two batches of repeats, so that they do not overrun a viewer's high-water mark."""

_SUBSCRIPTIONS_AT_ONCE = 1000
"""Subscriptions served by one `Publisher.poll`."""

_LONGEST_SUBSCRIPTION = 1024
"""A viewer that sends more is cut off."""


class Publisher:
    """Shows frames to any number of viewers and never waits for one of them.

    A viewer that does not keep up misses frames and sees so by their sequence numbers. A viewer that joins
    late gets ``start`` and the last frame of each of its topics at once. All methods belong to one thread.

    Parameters
    ----------
    settings
        Address, high-water mark, heartbeat.
    series
        What the frames share; None while it is not known, then `update_series` comes before the first frame.
    series_id
        Identity of the series; none makes one up.
    keys
        Folder of CURVE keys that viewers must have; none lets anybody on this computer watch.

    Raises
    ------
    quietscope.config.WireError
        If the address cannot be bound or could be reached from other computers.
    """

    def __init__(
        self,
        settings: PublishSettings,
        series: Series | None = None,
        *,
        series_id: str | None = None,
        keys: Path | None = None,
    ) -> None:
        self._settings = settings
        self._series = series
        self._series_id = series_id if series_id is not None else uuid.uuid4().hex
        self._id = uuid.uuid4().hex
        self._sequences: Counter[bytes] = Counter()
        self._kinds: Counter[FrameKind] = Counter()
        self._late = LateViewers()
        self._quality: tuple[Quality, str] = ("full", "")
        self._next_repeat_ns = 0
        self._next_heartbeat_ns = 0
        self._context = zmq.Context()
        self._door: Doorkeeper | None = None
        self._socket = self._context.socket(zmq.XPUB)
        # Also a subscription that another viewer has already is told: that is how a late viewer is noticed.
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._socket.setsockopt(zmq.SNDHWM, settings.high_water_mark)
        self._socket.setsockopt(zmq.LINGER, _LINGER_MS)
        self._socket.setsockopt(zmq.MAXMSGSIZE, _LONGEST_SUBSCRIPTION)
        try:
            self._door = Doorkeeper(self._context, keys)
            self._door.guard(self._socket)
            self._endpoint = bind(
                self._socket, settings.endpoint, "publish.endpoint", secured=self._door.secures
            )
        except BaseException:
            if self._door is not None:
                self._door.close()
            self._context.destroy(linger=0)
            raise
        self._door.open()
        if series is not None:
            self.update_series(series)

    @property
    def endpoint(self) -> str:
        """Address that viewers connect to, with the real port."""
        return self._endpoint

    @property
    def refused(self) -> int:
        """Viewers that had no key or a wrong one."""
        return 0 if self._door is None else self._door.refused

    @property
    def series_id(self) -> str:
        """Identity of the series on the wire."""
        return self._series_id

    @property
    def published(self) -> Mapping[FrameKind, int]:
        """Frames published so far by kind, repeats not counted."""
        return dict(self._kinds)

    def update_series(self, series: Series) -> None:
        """Tell viewers that more is known about the series, such as further channels."""
        self._series = series
        header = StartHeader.of(
            series,
            publisher=self._id,
            series_id=self._series_id,
            sequence=self._next(INFO_TOPIC),
            published_ns=time.time_ns(),
        )
        self._tell(INFO_TOPIC, Message(header))

    def publish(
        self,
        kind: FrameKind,
        key: FrameKey,
        pixels: Pixels,
        *,
        received_ns: int,
        model: str | None = None,
        light: str | None = None,
        reason: str = "",
        quality: Quality = "full",
        copy: bool = True,
    ) -> None:
        """Show a frame.

        Parameters
        ----------
        kind
            ``raw``, ``denoised``, ``preview`` or ``trust``.
        key
            Place in the series.
        pixels
            Shape (Y, X).
        received_ns
            Time of arrival of the raw frame, nanoseconds since the epoch.
        model
            Model that made the frame.
        light, reason
            Traffic light of a trust map, and why.
        quality
            What viewers get of this frame while it is new; see `update_quality`.
        copy
            Copy the pixels, so that the caller may go on using their memory. Otherwise nobody may change them any more;
            a copy is a fifth of what a frame of 2048² costs on the way.

        Raises
        ------
        quietscope.config.WireError
            If it is no two-dimensional frame of a supported dtype.
        """
        self.poll()
        if self._series is None:
            msg = "a frame cannot be published before the series is known; call update_series first"
            raise WireError(msg)
        names = self._series.channels
        header = FrameHeader.of(
            pixels,
            kind=kind,
            key=key,
            publisher=self._id,
            series=self._series_id,
            sequence=self._sequences[frame_topic(kind, key.c)],
            published_ns=time.time_ns(),
            received_ns=received_ns,
            channel=names[key.c] if key.c < len(names) else "",
            model=model,
            light=light,
            reason=reason,
            quality=quality,
            pixel_size_um=self._series.pixel_size_um,
        )
        topic = frame_topic(kind, key.c)
        self._next(topic)
        self._kinds[kind] += 1
        # Sent without copying, hence from memory that nobody else changes.
        own = np.array if copy else np.asarray
        self._tell(topic, Message(header, own(pixels, dtype=header.dtype, order="C")))

    def update_quality(self, quality: Quality, reason: str) -> None:
        """Tell viewers at once, and with every heartbeat, how good the newest pictures are from now on, and why."""
        self._quality = quality, reason
        self.heartbeat()

    def poll(self) -> None:
        """Serve viewers that have just joined, and send the heartbeat when it is due.

        Call it at least every 50 ms; it returns at once.
        """
        self._take_subscriptions()
        now = time.monotonic_ns()
        if self._late.waiting and now >= self._next_repeat_ns:
            self._next_repeat_ns = now + _REPEAT_PAUSE_NS
            for message in self._late.repeats(max(1, self._settings.high_water_mark - 1)):
                self._send(message)
        if now >= self._next_heartbeat_ns:
            self.heartbeat()

    def heartbeat(self) -> None:
        """Tell viewers that the publisher lives and how far each topic is."""
        self._next_heartbeat_ns = time.monotonic_ns() + int(self._settings.heartbeat_s * 1e9)
        quality, reason = self._quality
        header = HeartbeatHeader.made(
            self._common() | {"topics": self._last_sequences(), "quality": quality, "reason": reason}
        )
        self._socket.send_multipart(encode(header))

    def end(self, reason: str) -> None:
        """Tell viewers that the series is over; viewers that join later hear it as well."""
        header = EndHeader.made(self._common() | {"topics": self._last_sequences(), "reason": reason})
        self._late.keep_end(Message(header))
        self._send(Message(header))

    def close(self) -> None:
        """Close the socket; waits at most a second for viewers that still read."""
        if self._door is not None:
            self._door.close()
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _common(self) -> dict[str, str | int]:
        return {
            "publisher": self._id,
            "series": self._series_id,
            "sequence": self._next(INFO_TOPIC),
            "published_ns": time.time_ns(),
        }

    def _next(self, topic: bytes) -> int:
        sequence = self._sequences[topic]
        self._sequences[topic] += 1
        return sequence

    def _last_sequences(self) -> dict[str, int]:
        return {topic.decode(): n - 1 for topic, n in self._sequences.items() if topic != INFO_TOPIC}

    def _take_subscriptions(self) -> None:
        prefixes = []
        for _ in range(_SUBSCRIPTIONS_AT_ONCE):
            try:
                message = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            if message[:1] == b"\x01":
                prefixes.append(message[1:])
        self._late.join(prefixes)

    def _tell(self, topic: bytes, message: Message) -> None:
        """Send a message, and keep it for viewers that join later."""
        self._late.keep(topic, message)
        self._send(message)

    def _send(self, message: Message) -> None:
        """Hand a message to the socket, which drops it for viewers whose queue is full."""
        topic, text, buffer = encode(message.header, message.pixels)
        self._socket.send(topic, zmq.SNDMORE)
        self._socket.send(text, zmq.SNDMORE)
        self._socket.send(buffer, copy=False)
