"""The ingest wire, recorder's side: one thread that owns the sockets, answers when things are on disk."""

import json
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import zmq

from quietscope.adapters.doorkeeper import Doorkeeper
from quietscope.adapters.endpoints import bind
from quietscope.adapters.frame import Frame, Pixels, Series
from quietscope.adapters.ingest import decode_message, encode_message
from quietscope.config import QuietscopeError, WireError
from quietscope.config.system import SecuritySettings
from quietscope.daemon import ingest_fields as fields
from quietscope.daemon.committer import Committer
from quietscope.daemon.intake import Intake
from quietscope.daemon.ledger import EventRow, ModelRow
from quietscope.daemon.vault import Deposit, Vault
from quietscope.daemon.waiting_room import WaitingRoom

__all__ = ["IngestServer"]

_REMEMBERED = 8192
_IDLE_MS, _RETRY_MS = 200, 10
_Answer = tuple[bytes, int, str, str]


class IngestServer:
    """Receives frames and verdicts from other processes, and announces what has been committed.

    Parameters
    ----------
    endpoint
        Address to bind, ``tcp://127.0.0.1:0`` for a free port.
    intake, vault, committer
        Where raw frames, denoised frames and ledger entries go.
    on_trouble
        Called with words about a message that is not valid.
    security
        Keys and limits.
    """

    def __init__(
        self,
        endpoint: str,
        intake: Intake,
        vault: Vault,
        committer: Committer,
        *,
        on_trouble: Callable[[str], None],
        security: SecuritySettings,
    ) -> None:
        self._intake = intake
        self._waiting_room = WaitingRoom(vault)
        self._committer = committer
        self._on_trouble = on_trouble
        self._context = zmq.Context()
        self._router: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        self._news: zmq.Socket[bytes] = self._context.socket(zmq.PUB)
        for socket in (self._router, self._news):
            socket.setsockopt(zmq.LINGER, 500)
        self._news.setsockopt(zmq.SNDHWM, 100_000)
        self._largest = int(security.max_message_mb * 1e6)
        # What exceeds the limit is counted; what exceeds it so much that reading it would be a danger is cut off.
        self._router.setsockopt(zmq.MAXMSGSIZE, 2 * self._largest)
        self._door: Doorkeeper | None = None
        try:
            self._door = Doorkeeper(self._context, security.keys)
            self._door.guard(self._router)
            self._door.guard(self._news)
            self.endpoint = bind(self._router, endpoint, "recorder.endpoint", secured=self._door.secures)
            host = self.endpoint.rsplit(":", 1)[0]
            self.news_endpoint = bind(
                self._news, f"{host}:0", "recorder.endpoint", secured=self._door.secures
            )
        except QuietscopeError:
            if self._door is not None:
                self._door.close()
            self._context.destroy(linger=0)
            raise
        self._door.open()
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._announcements: queue.SimpleQueue[tuple[bytes, dict[str, Any]]] = queue.SimpleQueue()
        self._wake_lock = threading.Lock()
        self._waker: zmq.Socket[bytes] = self._context.socket(zmq.PUSH)
        self._waker.bind("inproc://wake")
        self._awake: zmq.Socket[bytes] = self._context.socket(zmq.PULL)
        self._awake.connect("inproc://wake")
        self._known: OrderedDict[tuple[bytes, int], tuple[str, str] | None] = OrderedDict()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest")

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Send what is left to say and end."""
        self._stop.set()
        self._wake()
        self._thread.join()
        if self._door is not None:
            self._door.close()
        self._context.destroy(linger=500)

    @property
    def refused(self) -> int:
        """Senders that had no key or a wrong one."""
        return 0 if self._door is None else self._door.refused

    def announce_frame(self, frame: Frame) -> None:
        """Tell listeners that a raw frame is safe."""
        self._announce(
            b"frame",
            {"key": list(frame.key), "received_ns": frame.received_ns, "announced_ns": time.time_ns()},
        )

    def announce_load(self, behind_s: float) -> None:
        """Tell listeners how many seconds behind the frames are that become safe now."""
        self._announce(b"load", {"behind_s": behind_s})

    def announce_series(self, series: Series) -> None:
        """Tell listeners that the series is known or has grown."""
        self._announce(b"series", {"channels": list(series.channels)})

    def _announce(self, topic: bytes, content: dict[str, Any]) -> None:
        self._announcements.put((topic, content))
        self._wake()

    def _answer(self, identity: bytes, number: int, status: str, reason: str = "") -> None:
        self._answers.put((identity, number, status, reason))
        self._wake()

    def _wake(self) -> None:
        with self._wake_lock:
            try:
                self._waker.send(b"", zmq.NOBLOCK)
            except zmq.ZMQError:
                return  # the thread has plenty of reasons to wake already, or has ended

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._awake, zmq.POLLIN)
        while not self._stop.is_set():
            ready = dict(poller.poll(_RETRY_MS if self._waiting_room else _IDLE_MS))
            if self._awake in ready:
                self._empty(self._awake)
            self._waiting_room.empty()
            self._speak()
            if self._router in ready:
                self._listen()
        self._waiting_room.empty()
        self._speak()

    @staticmethod
    def _empty(socket: "zmq.Socket[bytes]") -> None:
        while socket.poll(0):
            socket.recv()

    def _speak(self) -> None:
        while not self._announcements.empty():
            topic, content = self._announcements.get()
            self._news.send_multipart([topic, json.dumps(content).encode()])
        answers: dict[bytes, list[tuple[int, str, str]]] = {}
        while not self._answers.empty():
            identity, number, status, reason = self._answers.get()
            self._known[identity, number] = (status, reason)
            answers.setdefault(identity, []).append((number, status, reason))
        for identity, acks in answers.items():
            self._router.send_multipart([identity, *encode_message({"type": "ack", "acks": acks})])
        # Only answered messages may be forgotten: one under way that comes again would be taken for a duplicate.
        while len(self._known) > _REMEMBERED and next(iter(self._known.values())) is not None:
            self._known.popitem(last=False)

    def _listen(self) -> None:
        for _ in range(16):
            if not self._router.poll(0):
                return
            frames = self._router.recv_multipart(copy=False)
            identity = frames[0].bytes
            size = sum(len(part) for part in frames[1:])
            if size > self._largest:
                detail = f"it has {size / 1e6:.1f} MB; security.max_message_mb = {self._largest / 1e6:g} is allowed"
                self._intake.reject(f"message from {identity[:40]!r}", "oversized", detail)
                continue
            try:
                header, pixels = decode_message([part.buffer for part in frames[1:]])
                number = header.get("n")
                if not isinstance(number, int):
                    msg = f"message of type {header['type']!r} has no integer number 'n'"
                    raise WireError(msg)  # noqa: TRY301 - same handling as any other fault of the message
            except WireError as error:
                self._intake.reject(f"message from {identity[:40]!r}", "wire", str(error))
                continue
            self._handle(identity, number, header, pixels)

    def _handle(self, identity: bytes, number: int, header: dict[str, Any], pixels: Pixels | None) -> None:
        if (identity, number) in self._known:
            known = self._known[identity, number]
            if known is not None:
                self._answer(identity, number, *known)
            return
        self._known[identity, number] = None
        try:
            self._dispatch(identity, number, header, pixels)
        except QuietscopeError as error:
            self._answer(identity, number, "rejected", str(error))
        except Exception as error:  # noqa: BLE001 - whatever a sender says, this thread serves all the others
            text = f"message of type {header['type']!r} from {header.get('sender')}: bad or missing field ({error!r})"
            self._on_trouble(text)
            self._answer(identity, number, "rejected", text)

    def _dispatch(self, identity: bytes, number: int, header: dict[str, Any], pixels: Pixels | None) -> None:
        def stored() -> None:
            self._answer(identity, number, "stored")

        match header["type"]:
            case "hello":
                self._answer(identity, number, "stored", json.dumps(self._intake.known))
            case "series":
                content = header["series"]
                self._intake.start(Series(**{**content, "channels": tuple(content["channels"])}))
                stored()
            case "frame" if pixels is not None:
                self._frame(identity, number, header, pixels, stored)
            case "skip" | "shown":
                entries = fields.rows(header)
                for entry in entries[:-1]:
                    self._committer.put(entry)
                self._committer.put(entries[-1], stored)
            case "model":
                fields.check_model_path(header["path"])
                self._committer.put(
                    ModelRow(
                        str(header["model_id"]), fields.whole(header["channel"]), bool(header["accepted"]),
                        header["path"], str(header["reason"]), dict(header["figures"]),
                    ),
                    lambda: self._model_is_recorded(identity, number, header),
                )  # fmt: skip
            case "event":
                if header["level"] != "info":
                    self._on_trouble(str(header["text"]))
                self._committer.put(EventRow(str(header["level"]), str(header["text"])), stored)
            case "reject":
                self._intake.reject(str(header["name"]), str(header["reason"]), str(header["detail"]))
                stored()
            case "end":
                self._intake.end()
                stored()
            case other:
                msg = f"unknown message type {other!r}; docs/protocol.md lists the types"
                raise WireError(msg)

    def _model_is_recorded(self, identity: bytes, number: int, header: dict[str, Any]) -> None:
        self._announce(b"model", {"channel": header["channel"], "accepted": header["accepted"]})
        self._answer(identity, number, "stored")

    def _frame(
        self,
        identity: bytes,
        number: int,
        header: dict[str, Any],
        pixels: Pixels,
        stored: Callable[[], None],
    ) -> None:
        def refuse(error: QuietscopeError) -> None:
            self._answer(identity, number, "rejected", str(error))

        exposure = header.get("exposure_ms")
        frame = Frame(
            pixels.astype(pixels.dtype.newbyteorder("="), copy=False),
            fields.key(header["key"]),
            fields.whole(header["received_ns"]),
            None if exposure is None else float(exposure),
            dict(header.get("metadata") or {}),
        )
        if header["kind"] == "raw":
            if not self._intake.take(Deposit(frame, then=stored)):
                status = "closed" if self._intake.ended.is_set() else "rejected"
                self._answer(identity, number, status, "see the recorder's log")
        elif header["kind"] == "denoised":
            self._waiting_room.put(Deposit(frame, fields.provenance(header), stored), refuse)
        elif header["kind"] == "trust":
            self._waiting_room.put(Deposit(frame, fields.judged(header), stored), refuse)
        else:
            msg = f"kind {header['kind']!r} of a frame is not 'raw', 'denoised' or 'trust'"
            raise WireError(msg)
