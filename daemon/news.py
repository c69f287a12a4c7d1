"""What the recorder tells the processor: new frames, how far it is behind, the series, verdicts about models."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zmq

from quietscope.adapters.keyring import use_client_keys

__all__ = ["News"]


class News:
    """The processor's end of the recorder's announcements, which may get lost: the ledger is what holds.

    Parameters
    ----------
    address
        Where the recorder announces.
    keys
        Folder of CURVE keys, if the recorder wants them.
    """

    def __init__(self, address: str, keys: Path | None) -> None:
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, 100_000)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        use_client_keys(self._socket, keys)
        self._socket.connect(address)

    def wait(self, milliseconds: int, bell: socket.socket) -> None:
        """Return when there is news or `bell` can be read, at the latest after so long."""
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(bell, zmq.POLLIN)
        poller.poll(milliseconds)

    def heard(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Topic and content of everything that has come since the last time."""
        while self._socket.poll(0):
            topic, body = self._socket.recv_multipart()
            yield topic.decode(), json.loads(body)

    def close(self) -> None:
        """Hear nothing any more."""
        self._socket.close(linger=0)
        self._context.term()
