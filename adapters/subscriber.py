"""The viewing end of the viewers' wire."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import zmq

from quietscope.adapters.frame import FrameKey, Pixels, Series
from quietscope.adapters.keyring import use_client_keys
from quietscope.adapters.wire import INFO_TOPIC, Decoded, decode, frame_topic
from quietscope.adapters.wire_headers import (
    MAX_PIXELS_NBYTES,
    EndHeader,
    FrameHeader,
    FrameKind,
    StartHeader,
)
from quietscope.config.errors import WireError, WireTimeoutError

__all__ = ["ReceivedFrame", "Subscriber"]

_DRAIN_AT_MOST = 1000
"""Messages taken in a row before a frame is handed out, so that a fast publisher cannot starve the viewer."""

_QUEUE = {"newest": 8, "every": 64}
"""Messages that wait in the receiving socket."""


@dataclass(frozen=True, slots=True, eq=False)
class ReceivedFrame:
    """A frame from the wire.

    Parameters
    ----------
    pixels
        Shape (Y, X), read-only; copy them to change them.
    header
        Everything that came with them: ``kind``, ``key``, ``channel``, ``sequence``, ``received_ns``,
        ``published_ns``, ``model``, ``pixel_size_um``, ``repeat``, …
    gap
        Frames of the same kind and channel that were published since the previous one and never arrived.
    skipped
        Frames of the same kind and channel that arrived and were passed over for this newer one.
    """

    pixels: Pixels
    header: FrameHeader
    gap: int
    skipped: int

    @property
    def key(self) -> FrameKey:
        """Place in the series."""
        return self.header.key

    @property
    def kind(self) -> FrameKind:
        """``raw``, ``denoised``, ``preview`` or ``trust``."""
        return self.header.kind


class Subscriber:
    """Receives frames of a running series; iterate over it.

    It connects again by itself when the publisher restarts. All methods belong to one thread.

    Parameters
    ----------
    endpoint
        Address of the publisher, ``tcp://HOST:PORT``.
    kinds
        Which frames.
    channels
        Channel numbers; None takes all.
    mode
        ``newest``: of each kind and channel only the newest frame that has arrived, for viewers. ``every``:
        each frame that arrives, in order; a reader that is too slow still misses frames, and sees so in
        `ReceivedFrame.gap`.
    timeout
        Seconds without any message, heartbeats included, after which `WireTimeoutError` is raised.
    until_end
        Stop at the end of the series; otherwise wait for the next one.
    keys
        Folder with ``client.key_secret`` and ``server.key``, where the publisher demands keys.

    Raises
    ------
    quietscope.config.WireError
        If the address is no address.

    Examples
    --------
    ::

        with Subscriber("tcp://127.0.0.1:5555", kinds=("denoised",)) as frames:
            for frame in frames:
                show(frame.pixels)
    """

    def __init__(
        self,
        endpoint: str,
        *,
        kinds: Collection[FrameKind] = ("raw", "denoised", "preview"),
        channels: Collection[int] | None = None,
        mode: Literal["newest", "every"] = "newest",
        timeout: float = 10.0,
        until_end: bool = True,
        keys: Path | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._mode = mode
        self._timeout = timeout
        self._until_end = until_end
        self._topics = _Topics(kinds, channels)
        self._waiting: dict[bytes, ReceivedFrame] = {}
        self._publisher = ""
        self._last: dict[bytes, int] = {}
        self._series: Series | None = None
        self._ended = False
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, _QUEUE[mode])
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_PIXELS_NBYTES)
        self._socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        use_client_keys(self._socket, keys)
        for prefix in self._topics.prefixes():
            self._socket.setsockopt(zmq.SUBSCRIBE, prefix)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            msg = f"Cannot connect to {endpoint!r}: {error}. Write tcp://HOST:PORT, as the run prints it."
            raise WireError(msg) from error

    @property
    def series(self) -> Series | None:
        """What the frames share, once the publisher has said so."""
        return self._series

    @property
    def ended(self) -> bool:
        """Whether the series is over."""
        return self._ended

    def __iter__(self) -> Iterator[ReceivedFrame]:
        while (frame := self.receive()) is not None:
            yield frame

    def receive(self) -> ReceivedFrame | None:
        """Wait for the next frame.

        Returns
        -------
        ReceivedFrame or None
            None when the series is over (and `until_end` was asked for).

        Raises
        ------
        quietscope.config.WireTimeoutError
            If nothing at all is heard for `timeout` seconds.
        quietscope.config.WireError
            If a message is not as the protocol says.
        """
        while True:
            if self._mode == "newest" or not self._waiting:
                self._drain()
            if self._waiting:
                return self._waiting.pop(next(iter(self._waiting)))
            if self._ended and self._until_end:
                return None
            if not self._socket.poll(round(self._timeout * 1000)):
                msg = (
                    f"Nothing was heard from {self._endpoint} for {self._timeout:g} s. Check that the run "
                    "goes on and prints this address: with port 0 in publish.endpoint it changes."
                )
                raise WireTimeoutError(msg)

    def close(self) -> None:
        """Leave; returns at once."""
        self._context.destroy(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _drain(self) -> None:
        """Take in what has arrived: all of it in mode ``newest``, one frame in mode ``every``."""
        for _ in range(_DRAIN_AT_MOST):
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            topic, *_ = buffers = [part.buffer for part in parts]
            if self._topics.unwanted(bytes(topic)):
                continue
            self._take(decode(buffers))
            if self._waiting and self._mode == "every":
                return

    def _take(self, message: Decoded) -> None:
        header, pixels = message
        if header.publisher != self._publisher:
            # Another publisher, or the same after a restart, counts from 0.
            self._publisher = header.publisher
            self._last.clear()
            self._ended = False
        if isinstance(header, StartHeader):
            self._series = header.to_series()
        elif isinstance(header, EndHeader):
            self._ended = True
        elif isinstance(header, FrameHeader) and pixels is not None:
            self._take_frame(header, pixels)

    def _take_frame(self, header: FrameHeader, pixels: Pixels) -> None:
        topic = frame_topic(header.kind, header.key.c)
        last = self._last.get(topic)
        if last is not None and header.sequence <= last:
            return
        self._last[topic] = header.sequence
        gap = 0 if last is None else header.sequence - last - 1
        skipped = 0
        older = self._waiting.get(topic)
        if older is not None:
            gap, skipped = gap + older.gap, older.skipped + 1
        # A newer frame takes its elder's place in the queue, so that no topic is put off for ever.
        self._waiting[topic] = ReceivedFrame(pixels, header, gap, skipped)


class _Topics:
    """Which topics a viewer wants.

    ZeroMQ matches by prefix, and ``raw/c1`` is one of ``raw/c10``: what comes is checked again.
    """

    def __init__(self, kinds: Collection[FrameKind], channels: Collection[int] | None) -> None:
        self._kinds = tuple(kinds)
        self._channels = channels
        self._exact = None if channels is None else {frame_topic(k, c) for k in kinds for c in channels}

    def prefixes(self) -> list[bytes]:
        """Subscriptions to make."""
        if self._exact is None:
            return [INFO_TOPIC, *(f"{kind}/".encode() for kind in self._kinds)]
        return [INFO_TOPIC, *sorted(self._exact)]

    def unwanted(self, topic: bytes) -> bool:
        """Whether a message came only because its topic begins like a wanted one."""
        return self._exact is not None and topic != INFO_TOPIC and topic not in self._exact
