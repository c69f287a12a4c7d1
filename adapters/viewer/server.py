"""The viewer's web server."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from quietscope.adapters.endpoints import is_this_computer
from quietscope.adapters.viewer.access import Access
from quietscope.adapters.viewer.archive import Archive, Snapshot
from quietscope.adapters.viewer.commands import Commands
from quietscope.adapters.viewer.hub import Hub
from quietscope.adapters.viewer.pictures import Picture
from quietscope.adapters.viewer.reporting import Report
from quietscope.adapters.viewer.session import Session
from quietscope.adapters.viewer.watch import Watch
from quietscope.config.errors import QuietscopeError, WireError
from quietscope.config.system import ViewSettings

__all__ = ["ViewerServer"]

_PAGE = Path(__file__).with_name("page")
_LONGEST_MESSAGE = 65_536
_MOST_BROWSERS = 32


class ViewerServer:
    """Serves the page, pictures and reports of one run.

    Parameters
    ----------
    archive
        The run; closed at the end.
    settings
        Address.
    keys
        Folder of the keys that the run's publisher demands, if any.

    Raises
    ------
    quietscope.config.WireError
        If the address cannot be opened.
    """

    def __init__(self, archive: Archive, settings: ViewSettings, *, keys: Path | None = None) -> None:
        self._archive = archive
        self._keys = keys
        self._socket = _bind(settings)
        host, port = self._socket.getsockname()[:2]
        self._token = None if is_this_computer(settings.host) else Access.new_token()
        name = "127.0.0.1" if settings.host == "localhost" else settings.host
        if name in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
            name = socket.gethostname()
        shown = f"[{name}]" if ":" in name else name
        self.url = f"http://{shown}:{port}/" + (f"?token={self._token}" if self._token else "")
        self._commands = Commands(allowed=self._token is None or settings.remote_control, keys=keys)
        self._sessions: set[Session] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        app = Starlette(
            routes=[
                WebSocketRoute("/live", self._serve_browser),
                Mount("/", StaticFiles(directory=_PAGE, html=True)),
            ],
            lifespan=self._lifespan,
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                Access(app, host=host, port=port, token=self._token),
                log_level=logging.WARNING,
                access_log=False,
                ws="websockets-sansio",
                ws_max_size=_LONGEST_MESSAGE,
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=2,
                server_header=False,
            )
        )

    def run(self) -> None:
        """Serve until `stop`, Ctrl-C or a polite kill."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """End `run` soon; may be called from any thread."""
        self._server.should_exit = True

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        self._hub = Hub(self._on_picture, keys=self._keys)
        self._watch = Watch(self._archive, self._on_look)
        try:
            yield
        finally:
            await asyncio.to_thread(self._watch.close)
            await asyncio.to_thread(self._hub.close)

    async def _serve_browser(self, socket_: WebSocket) -> None:
        if len(self._sessions) >= _MOST_BROWSERS:
            await socket_.close(1013, "too many browsers look at this run")
            return
        await socket_.accept()
        session = Session(socket_, self._archive, self._hub, Report(self._watch.light), self._commands)
        if self._watch.snapshot.name:
            session.run_changed(self._watch.snapshot)
        self._sessions.add(session)
        try:
            await session.run()
        except WebSocketDisconnect:
            return
        except WireError as error:
            await socket_.close(1008, str(error)[:100])
        except QuietscopeError as error:
            await socket_.close(1011, str(error)[:100])
        finally:
            self._sessions.discard(session)

    def _on_picture(self, picture: Picture) -> None:
        if "raw" in picture.planes:
            self._watch.light.add(picture.key.c, picture.key.t, picture.planes["raw"])
        self._tell(lambda session: session.picture_came())

    def _on_look(self, snapshot: Snapshot) -> None:
        self._hub.connect(snapshot.endpoint if snapshot.running else None)
        self._commands.endpoint = snapshot.control if snapshot.running else None
        self._tell(lambda session: session.run_changed(snapshot))

    def _tell(self, what: Callable[[Session], None]) -> None:
        """Call something for every browser in the event loop; from any thread."""

        def tell_all() -> None:
            for session in self._sessions:
                what(session)

        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is there to be told
            self._loop.call_soon_threadsafe(tell_all)


def _bind(settings: ViewSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name != "nt":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((settings.host, settings.port))
        bound.listen(128)  # from now on the address may be opened: who comes before `run` waits
    except OSError as error:
        bound.close()
        msg = (
            f"The viewer cannot open {settings.host}:{settings.port}: {error.strerror}. "
            "Choose another port with view.port or --port (0 takes a free one), or another view.host."
        )
        raise WireError(msg) from error
    return bound
