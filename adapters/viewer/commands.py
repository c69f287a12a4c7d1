"""What a browser may ask of the run: passed on to the daemon's control wire, one request at a time."""

import asyncio
from pathlib import Path

from quietscope.adapters.control import Answer, ControlClient, Request
from quietscope.config.errors import QuietscopeError

__all__ = ["Commands"]

_ANSWER_S = 5.0


class Commands:
    """Asks the daemon for all browsers.

    Parameters
    ----------
    allowed
        Whether browsers may ask at all.
    keys
        Folder of the keys that the run demands, if any.
    """

    def __init__(self, *, allowed: bool, keys: Path | None) -> None:
        self._allowed = allowed
        self._keys = keys
        self._turn = asyncio.Lock()
        self.endpoint: str | None = None
        """Address of the control wire while the run goes on."""

    @property
    def possible(self) -> bool:
        """Whether there is somebody to ask, and browsers may."""
        return self._allowed and self.endpoint is not None

    async def ask(self, request: Request) -> Answer:
        """Ask; whatever goes wrong is an answer in words."""
        endpoint = self.endpoint
        if not self._allowed:
            return Answer(
                ok=False,
                text="browsers on other computers may only look; view.remote_control = true lets them do more",
            )
        if endpoint is None:
            return Answer(ok=False, text="the run is not going on")
        if self._turn.locked():
            return Answer(
                ok=False, text="the run has not answered the last request yet; try again in a moment"
            )
        async with self._turn:
            client = ControlClient(endpoint, keys=self._keys, timeout=_ANSWER_S)
            try:
                return await asyncio.to_thread(
                    client.ask, request.command, channel=request.channel, method=request.method
                )
            except QuietscopeError as error:
                return Answer(ok=False, text=str(error))
