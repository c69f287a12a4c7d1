"""Who may look: guards against foreign pages, foreign names and, beyond this computer, people without the token."""

import hmac
import ipaddress
import secrets
import socket
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quietscope.adapters.endpoints import is_this_computer

__all__ = ["Access"]

_HEADERS = {
    # No page of ours may load or call anything but this server.
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    b"font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-cache",
}


class Access:
    """ASGI middleware in front of everything.

    * The ``Host`` must be this computer's: a foreign name that was made to point here is refused (DNS rebinding).
    * A WebSocket, and every request that carries an ``Origin``, must come from our own page.
    * Where the server can be reached from other computers, the token is asked for: once in the address, then kept in a
      cookie that scripts cannot read.

    Parameters
    ----------
    app
        What is guarded.
    host
        Address the server is bound to.
    port
        Its port.
    token
        The secret, or None where the server is bound to this computer only.
    """

    def __init__(self, app: ASGIApp, *, host: str, port: int, token: str | None) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._token = token
        self._cookie = f"quietscope-{port}"
        name = socket.gethostname().lower()
        self._names = {"localhost", host.lower()} | (set() if token is None else {name, f"{name}.local"})

    @staticmethod
    def new_token() -> str:
        """A secret that cannot be guessed."""
        return secrets.token_urlsafe(18)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        problem = self._problem(scope, headers)
        if problem is not None:
            await _refuse(scope, receive, send, problem)
            return
        if self._token is not None and not self._knows_token(headers):
            answer = self._admit(scope)
            if scope["type"] == "websocket":
                await _refuse(scope, receive, send, "the token is missing")
            else:
                await answer(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS.items()]
            await send(message)

        await self._app(scope, receive, send_guarded)

    def _problem(self, scope: Scope, headers: dict[bytes, str]) -> str | None:
        host = headers.get(b"host", "")
        if not self._is_ours(host):
            return f"this viewer is not {host!r}; open the address that quietscope printed"
        origin = headers.get(b"origin")
        if origin is None:
            return (
                "a WebSocket must come from the viewer's own page" if scope["type"] == "websocket" else None
            )
        if urlsplit(origin).netloc.lower() != host.lower():
            return f"the page {origin} may not use this viewer"
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            parts = urlsplit(f"//{host}")
            name = (parts.hostname or "").lower()
        except ValueError:
            return False
        if name in self._names or is_this_computer(name):
            return True
        if self._token is None:
            return False
        try:
            # An attacker's page can only have a name, never a bare address, pointed to us.
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _knows_token(self, headers: dict[bytes, str]) -> bool:
        try:
            morsel = SimpleCookie(headers.get(b"cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return morsel is not None and self._is_token(morsel.value)

    def _is_token(self, text: str) -> bool:
        return self._token is not None and hmac.compare_digest(text.encode(), self._token.encode())

    def _admit(self, scope: Scope) -> Response:
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        if not self._is_token(given):
            return PlainTextResponse(
                "This viewer needs its token. Open the whole address that quietscope printed, to its very end.\n",
                status_code=403,
            )
        answer = RedirectResponse(scope["path"], status_code=303)
        answer.set_cookie(self._cookie, given, httponly=True, samesite="strict", path="/")
        return answer


async def _refuse(scope: Scope, receive: Receive, send: Send, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": why[:100]})
        return
    await PlainTextResponse(f"Refused: {why}.\n", status_code=403)(scope, receive, send)
