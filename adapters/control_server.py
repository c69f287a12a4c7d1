"""The daemon's end of the control wire: a thread that owns the socket and refuses what is no request."""

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import zmq

from quietscope.adapters.control import LONGEST, PROTOCOL, Answer, Request, decode_request
from quietscope.adapters.doorkeeper import Doorkeeper
from quietscope.adapters.endpoints import bind
from quietscope.config.errors import QuietscopeError, WireError
from quietscope.config.system import ControlSettings

__all__ = ["ControlServer"]

_POLL_MS = 50
_WAITING = 64
_AT_ONCE = 32


class ControlServer:
    """Takes requests in and passes the valid ones on; the others are answered with words and counted.

    Parameters
    ----------
    settings
        Address.
    keys
        Folder of CURVE keys that callers must have; none lets anybody on this computer ask.
    on_request
        Called in the server's thread with a number and a request, to be answered with `answer`; must return at once.
    on_rejected
        Called in the server's thread with words about what is no request.

    Raises
    ------
    quietscope.config.QuietscopeError
        If the address cannot be bound or could be reached from other computers, or the keys are not there.
    """

    def __init__(
        self,
        settings: ControlSettings,
        *,
        keys: Path | None,
        on_request: Callable[[int, Request], None],
        on_rejected: Callable[[str], None],
    ) -> None:
        self._on_request = on_request
        self._on_rejected = on_rejected
        self._context = zmq.Context()
        self._router: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 500)
        self._router.setsockopt(zmq.RCVHWM, _WAITING)
        # A request that is somewhat too long is answered; one beyond that cuts the connection.
        self._router.setsockopt(zmq.MAXMSGSIZE, 16 * LONGEST)
        self._door: Doorkeeper | None = None
        try:
            self._door = Doorkeeper(self._context, keys)
            self._door.guard(self._router)
            self.endpoint = bind(
                self._router, settings.endpoint, "control.endpoint", secured=self._door.secures
            )
        except QuietscopeError:
            if self._door is not None:
                self._door.close()
            self._context.destroy(linger=0)
            raise
        self._door.open()
        self._rejected = 0
        self._number = 0
        self._callers: OrderedDict[int, list[bytes]] = OrderedDict()
        self._answers: queue.SimpleQueue[tuple[int, Answer]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control")
        self._thread.start()

    @property
    def refused(self) -> int:
        """Callers that had no key or a wrong one."""
        return 0 if self._door is None else self._door.refused

    @property
    def rejected(self) -> int:
        """Messages that were no requests."""
        return self._rejected

    def answer(self, number: int, answer: Answer) -> None:
        """Answer a request; from any thread. A caller that has gone is not waited for."""
        self._answers.put((number, answer))

    def close(self) -> None:
        """Send what is left to say, and end."""
        self._stop.set()
        self._thread.join()
        if self._door is not None:
            self._door.close()
        self._context.destroy(linger=500)

    def _run(self) -> None:
        while not self._stop.is_set():
            ready = self._router.poll(_POLL_MS)
            self._speak()
            for _ in range(_AT_ONCE if ready else 0):
                if not self._router.poll(0):
                    break
                self._listen(self._router.recv_multipart())
        self._speak()

    def _speak(self) -> None:
        while not self._answers.empty():
            number, answer = self._answers.get()
            caller = self._callers.pop(number, None)
            if caller is not None:
                self._send(caller, answer)

    def _send(self, caller: list[bytes], answer: Answer) -> None:
        try:
            content = answer.model_dump_json()
        except ValueError:  # half a character in a name
            content = Answer(ok=answer.ok, text=ascii(answer.text)).model_dump_json()
        self._router.send_multipart([*caller, PROTOCOL.encode(), content.encode()])

    def _listen(self, parts: list[bytes]) -> None:
        # A ROUTER puts the caller's identity in front, and a REQ socket an empty part behind it.
        caller, rest = (parts[:2], parts[2:]) if parts[1:2] == [b""] else (parts[:1], parts[1:])
        try:
            request = decode_request(rest)
        except WireError as error:
            self._rejected += 1
            self._send(caller, Answer(ok=False, text=f"refused: {error}"))
            self._on_rejected(str(error))
            return
        if len(self._callers) >= _WAITING:
            self._callers.popitem(last=False)  # whoever waits longest has given up
        self._number += 1
        self._callers[self._number] = caller
        self._on_request(self._number, request)
