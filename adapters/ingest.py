"""The ingest wire, sender's side: lossless, acknowledged, bounded.

Everything that enters the store comes over this wire: raw frames from programs beside the microscope,
denoised frames and verdicts from quietscope's own processes. A sender keeps each message until the recorder
says that it is on disk. `docs/protocol.md` specifies the messages.
"""

import json
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import zmq

from quietscope.adapters.foreign_json import parse_json
from quietscope.adapters.frame import SUPPORTED_DTYPES, FrameKey, Pixels
from quietscope.adapters.keyring import use_client_keys
from quietscope.config import WireError

__all__ = ["PROTOCOL", "Ack", "IngestClient", "decode_message", "encode_message"]

PROTOCOL = "quietscope-ingest/1"
MAX_HEADER = 1 << 20

_ANSWERS = 1 << 16
"""Answers kept for `IngestClient.poll`; the oldest are forgotten by a sender that never asks."""


def encode_message(header: Mapping[str, Any], pixels: Pixels | None = None) -> list[bytes | memoryview]:
    """Parts of a message: protocol, JSON header and, for frames, the raw little-endian C-order buffer."""
    head = dict(header)
    if pixels is None:
        return [PROTOCOL.encode(), json.dumps(head).encode()]
    plane = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
    head |= {"shape": list(plane.shape), "dtype": plane.dtype.name}
    return [PROTOCOL.encode(), json.dumps(head).encode(), plane.data.cast("B")]


def decode_message(parts: Sequence[bytes | memoryview]) -> tuple[dict[str, Any], Pixels | None]:
    """Header and pixels of a message; the pixels look into the message's own buffer.

    Raises
    ------
    quietscope.config.WireError
        If the message is not what the protocol says.
    """
    if len(parts) not in (2, 3) or bytes(parts[0]) != PROTOCOL.encode():
        msg = f"not a {PROTOCOL} message ({len(parts)} parts); is another program sending to this port?"
        raise WireError(msg)
    if len(parts[1]) > MAX_HEADER:
        msg = f"header of {len(parts[1])} bytes exceeds {MAX_HEADER}; put less into the metadata"
        raise WireError(msg)
    try:
        header = parse_json(bytes(parts[1]))
    except ValueError as error:
        msg = f"header is not JSON: {error}"
        raise WireError(msg) from error
    if not isinstance(header, dict) or not isinstance(header.get("type"), str):
        msg = "header must be a JSON object with a string 'type'"
        raise WireError(msg)
    if len(parts) == 2:
        return header, None
    shape, dtype = header.get("shape"), header.get("dtype")
    if dtype not in SUPPORTED_DTYPES:
        msg = f"dtype {dtype!r} is not one of {', '.join(SUPPORTED_DTYPES)}"
        raise WireError(msg)
    if (
        not isinstance(shape, list)
        or len(shape) != 2
        or not all(isinstance(n, int) and not isinstance(n, bool) and 0 < n <= 1 << 20 for n in shape)
    ):
        msg = f"shape {shape!r} must be two positive integers [height, width]"
        raise WireError(msg)
    kind = np.dtype(dtype).newbyteorder("<")
    expected = shape[0] * shape[1] * kind.itemsize
    if len(parts[2]) != expected:
        msg = f"buffer has {len(parts[2])} bytes, shape {shape} of {dtype} needs {expected}"
        raise WireError(msg)
    return header, np.frombuffer(parts[2], kind).reshape(shape)


@dataclass(frozen=True, slots=True)
class Ack:
    """The recorder's answer to one message.

    Parameters
    ----------
    number
        The message's number.
    status
        ``stored`` (on disk and in the ledger), ``rejected`` (not valid, see `reason`) or ``closed`` (intake
        has ended).
    reason
        Words for a rejection.
    """

    number: int
    status: str
    reason: str = ""


class IngestClient:
    """Sends messages to the recorder and keeps each until it is acknowledged.

    To be used from one thread. A message that is not acknowledged within `resend_s` is sent again; the
    recorder knows repeats by sender and number.

    Parameters
    ----------
    endpoint
        Address of the ingest wire.
    sender
        Words for who sends.
    budget
        Bytes that may be under way without acknowledgement.
    resend_s
        Seconds after which an unacknowledged message is sent again.
    keys
        Folder with ``client.key_secret`` and ``server.key``, where the recorder demands keys.

    Raises
    ------
    quietscope.config.SettingsError
        If there are no keys in `keys`.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        sender: str,
        budget: int = 64_000_000,
        resend_s: float = 15.0,
        keys: Path | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._sender = sender
        self._budget = budget
        self._resend_s = resend_s
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.IDENTITY, f"{sender}-{uuid.uuid4().hex[:12]}".encode())
        self._number = 0
        self._bytes = 0
        self._open: OrderedDict[int, tuple[list[bytes | memoryview], int, float]] = OrderedDict()
        self._answers: deque[Ack] = deque(maxlen=_ANSWERS)
        try:
            use_client_keys(self._socket, keys)
            self._socket.connect(endpoint)
        except BaseException:
            self._context.destroy(linger=0)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """The socket, to be polled together with others."""
        return self._socket

    @property
    def unacknowledged(self) -> int:
        """Messages the recorder has not answered yet."""
        return len(self._open)

    @property
    def has_room(self) -> bool:
        """Whether another frame may be sent at once."""
        return self._bytes < self._budget

    def send(
        self, message: str, *, pixels: Pixels | None = None, timeout_s: float = 60.0, **fields: Any
    ) -> int:
        """Send a message of type `message`; waits for room in the byte budget.

        Returns
        -------
        int
            Number of the message, for its `Ack`.

        Raises
        ------
        quietscope.config.WireError
            If there was no room within `timeout_s` seconds: the recorder does not answer.
        """
        deadline = time.monotonic() + timeout_s
        while not self.has_room:
            self._receive(timeout_s=0.1)
            if time.monotonic() > deadline:
                msg = (
                    f"the recorder at {self._endpoint} has acknowledged nothing for {timeout_s:g} s while"
                    f" {self._bytes / 1e6:.0f} MB are under way; is it running and its disk fast enough?"
                )
                raise WireError(msg)
        self._number += 1
        parts = encode_message({"type": message, "n": self._number, "sender": self._sender, **fields}, pixels)
        nbytes = 0 if pixels is None else int(pixels.nbytes)
        self._open[self._number] = (parts, nbytes, time.monotonic())
        self._bytes += nbytes
        self._socket.send_multipart(parts, copy=False)
        return self._number

    def send_frame(
        self,
        key: FrameKey,
        pixels: Pixels,
        *,
        kind: str = "raw",
        received_ns: int | None = None,
        timeout_s: float = 60.0,
        **fields: Any,
    ) -> int:
        """Send a frame; the caller does not change `pixels` until it is acknowledged. See `send`."""
        stamp = time.time_ns() if received_ns is None else received_ns
        return self.send(
            "frame", pixels=pixels, timeout_s=timeout_s, kind=kind, key=list(key), received_ns=stamp, **fields
        )

    def poll(self, *, timeout_s: float = 0.0) -> list[Ack]:
        """Answers that have come since the last call, waiting at most `timeout_s` seconds for the first."""
        self._receive(timeout_s=0.0 if self._answers else timeout_s)
        answers = list(self._answers)
        self._answers.clear()
        return answers

    def _receive(self, *, timeout_s: float) -> None:
        wait_ms = int(timeout_s * 1000)
        while self._socket.poll(wait_ms):
            wait_ms = 0
            header, _ = decode_message(self._socket.recv_multipart())
            if header["type"] == "ack":
                for number, status, reason in header["acks"]:
                    held = self._open.pop(number, None)
                    if held is not None:
                        self._bytes -= held[1]
                        self._answers.append(Ack(number, status, reason))
        self._resend()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything is acknowledged; False if that took longer than `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        while self._open and time.monotonic() < deadline:
            self._receive(timeout_s=0.1)
        return not self._open

    def close(self) -> None:
        """Close the socket; what is not acknowledged is not known to be kept."""
        self._socket.close()
        self._context.term()

    def _resend(self) -> None:
        now = time.monotonic()
        for number, (parts, nbytes, sent) in list(self._open.items()):
            if now - sent < self._resend_s:
                break
            self._open[number] = (parts, nbytes, now)
            self._open.move_to_end(number)
            self._socket.send_multipart(parts, copy=False)
