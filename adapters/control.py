"""The control wire: what may be asked of a running daemon, and a client that asks.

One request, one answer, both small and plain JSON; `docs/protocol.md` specifies them.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import zmq
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from quietscope.adapters.keyring import use_client_keys
from quietscope.config.errors import WireError, WireTimeoutError
from quietscope.config.methods import Method

__all__ = ["LONGEST", "PROTOCOL", "Answer", "Command", "ControlClient", "Request", "decode_request"]

PROTOCOL: Literal["quietscope-control/1"] = "quietscope-control/1"
"""Name and version of the protocol; any other is refused."""

LONGEST = 4096
"""Longest request, bytes."""

_LONGEST_ANSWER = 1 << 20

Command = Literal["retrain", "pause", "continue", "status"]


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class Request(_Message):
    """What is asked of a running daemon."""

    command: Command
    """Train again, pause denoising, go on with it, or say how things stand."""

    channel: Annotated[int, Field(ge=0, le=2**31)] | Annotated[str, Field(max_length=1000)] | None = None
    """Channel to train again, by index or name; None means all."""

    method: Method | None = None
    """Method to train with; None means the run's own."""

    @model_validator(mode="after")
    def _only_training_has_a_channel(self) -> Self:
        if self.command != "retrain" and (self.channel, self.method) != (None, None):
            msg = f"channel and method belong to the command 'retrain', not to {self.command!r}"
            raise ValueError(msg)
        return self


class Answer(_Message):
    """What a daemon answers; a later version may add fields."""

    model_config = ConfigDict(extra="ignore")

    ok: bool
    """Whether the command is obeyed."""

    text: str
    """What happens now, or why not, in words."""

    status: dict[str, Any] = Field(default_factory=dict)
    """How things stand; empty in a refusal of what is no request."""


def decode_request(parts: list[bytes]) -> Request:
    """Understand a request.

    Parameters
    ----------
    parts
        Protocol and JSON object.

    Raises
    ------
    quietscope.config.WireError
        If it is none; in words for whoever sent it.
    """
    if len(parts) != 2 or parts[0] != PROTOCOL.encode():
        msg = f"not a {PROTOCOL} request of two parts; docs/protocol.md shows how to ask"
        raise WireError(msg)
    if len(parts[1]) > LONGEST:
        msg = f"a request of {len(parts[1])} bytes is too long, {LONGEST} are allowed"
        raise WireError(msg)
    try:
        return Request.model_validate_json(parts[1])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"][:1]) or "request"
        msg = f"{where} is not valid: {first['msg'].removeprefix('Value error, ')}; docs/protocol.md lists the commands"
        raise WireError(msg) from error


class ControlClient:
    """Asks a running daemon; every question is a connection of its own.

    Parameters
    ----------
    endpoint
        ``control`` in ``endpoints.json`` of the run folder.
    keys
        Folder of the keys that the run demands, if any.
    timeout
        Longest wait for an answer, seconds.
    """

    def __init__(self, endpoint: str, *, keys: Path | None = None, timeout: float = 10.0) -> None:
        self._endpoint = endpoint
        self._keys = keys
        self._timeout = timeout

    def ask(
        self, command: Command, *, channel: int | str | None = None, method: Method | None = None
    ) -> Answer:
        """Send a command and wait for the answer.

        Raises
        ------
        quietscope.config.WireError
            If the request is not valid or the answer cannot be understood.
        quietscope.config.WireTimeoutError
            If no answer comes in time.
        quietscope.config.SettingsError
            If there are no keys in the folder.
        """
        try:
            request = Request(command=command, channel=channel, method=method)
        except ValidationError as error:
            raise WireError(
                error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            ) from error
        text = request.model_dump_json(exclude_none=True)
        with zmq.Context() as context, context.socket(zmq.REQ) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.MAXMSGSIZE, _LONGEST_ANSWER)
            use_client_keys(socket, self._keys)
            try:
                socket.connect(self._endpoint)
            except zmq.ZMQError as error:
                msg = f"{self._endpoint!r} is no address: {error}; give `control` of endpoints.json"
                raise WireError(msg) from error
            socket.send_multipart([PROTOCOL.encode(), text.encode()])
            return self._receive(socket)

    def _receive(self, socket: "zmq.Socket[bytes]") -> Answer:
        if not socket.poll(round(1000 * self._timeout)):
            msg = (
                f"no answer from {self._endpoint} within {self._timeout:g} s; is the run going on, and are the keys "
                "those that it was started with (security.keys)?"
            )
            raise WireTimeoutError(msg)
        parts = socket.recv_multipart()
        if len(parts) != 2 or parts[0] != PROTOCOL.encode():
            msg = f"{self._endpoint} does not speak {PROTOCOL}; give `control` of endpoints.json"
            raise WireError(msg)
        try:
            return Answer.model_validate_json(parts[1])
        except ValidationError as error:
            msg = f"{self._endpoint} gave an answer that is none; is it quietscope of another version?"
            raise WireError(msg) from error
