"""Lets only known keys in: answers ZeroMQ's questions about clients (ZAP, RFC 27) and counts who was refused."""

import threading
from collections.abc import Sequence
from pathlib import Path

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from quietscope.adapters.keyring import allowed_clients, use_server_keys

__all__ = ["Doorkeeper"]

_POLL_MS = 100
_FAILURES = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


class Doorkeeper:
    """Guards the bound sockets of one context. Without keys it does nothing at all.

    The allow-list is read anew for every client, so that a key that was removed is refused from then on.

    Parameters
    ----------
    context
        Context of the sockets.
    keys
        Folder of keys, see `quietscope.adapters.keyring`; None where only this computer can connect.

    Raises
    ------
    quietscope.config.SettingsError
        If there are no keys in the folder.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", keys: Path | None) -> None:
        self._keys = keys
        self._refused = 0
        self._stop = threading.Event()
        self._guarded: list[zmq.Socket[bytes]] = []
        self._monitors: list[zmq.Socket[bytes]] = []
        self._thread: threading.Thread | None = None
        if keys is not None:
            self._questions: zmq.Socket[bytes] = context.socket(zmq.REP)
            self._questions.bind("inproc://zeromq.zap.01")

    @property
    def secures(self) -> bool:
        """Whether guarded sockets demand keys."""
        return self._keys is not None

    @property
    def refused(self) -> int:
        """Connections refused so far: no key, a wrong key, or another protocol."""
        return self._refused

    def guard(self, socket: "zmq.Socket[bytes]") -> None:
        """Demand keys on a socket that will be bound."""
        if self._keys is None:
            return
        use_server_keys(socket, self._keys)
        self._guarded.append(socket)
        self._monitors.append(socket.get_monitor_socket(_FAILURES))

    def open(self) -> None:
        """Begin to answer, once all sockets are guarded."""
        if self._keys is None:
            return
        self._thread = threading.Thread(target=self._run, name="doorkeeper")
        self._thread.start()

    def close(self) -> None:
        """Stop; call it before the sockets are closed."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        for socket in self._guarded:
            socket.disable_monitor()
        for monitor in self._monitors:
            monitor.close(linger=0)
        if self._keys is not None:
            self._questions.close(linger=0)

    def _run(self) -> None:
        poller = zmq.Poller()
        for socket in (self._questions, *self._monitors):
            poller.register(socket, zmq.POLLIN)
        while not self._stop.is_set():
            for socket, _ in poller.poll(_POLL_MS):
                if socket is self._questions:
                    self._answer(self._questions.recv_multipart())
                else:
                    recv_monitor_message(socket)
                    self._refused += 1

    def _answer(self, question: Sequence[bytes]) -> None:
        assert self._keys is not None
        version, request, *_ = (*question, b"", b"")
        mechanism, key = (question[5], question[6]) if len(question) == 7 else (b"", b"")
        name = (
            allowed_clients(self._keys).get(z85.encode(key))
            if mechanism == b"CURVE" and len(key) == 32
            else None
        )
        status = (b"200", b"OK") if name is not None else (b"400", b"this key is not in the allow-list")
        self._questions.send_multipart([version, request, *status, (name or "").encode(), b""])
