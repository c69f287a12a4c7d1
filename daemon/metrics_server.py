"""``/metrics`` and ``/healthz`` over HTTP, for this computer."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from quietscope.config import RunError
from quietscope.daemon.metrics import Metrics

__all__ = ["MetricsServer"]

_HOSTS = {"127.0.0.1", "localhost"}
_TIMEOUT_S = 5.0


class MetricsServer:
    """Serves the figures of a run.

    Parameters
    ----------
    metrics
        The figures.
    port
        TCP port on this computer's own address; 0 takes a free one.

    Raises
    ------
    quietscope.config.RunError
        If the port cannot be opened.
    """

    def __init__(self, metrics: Metrics, port: int) -> None:
        handler = type("_BoundHandler", (_Handler,), {"metrics": metrics})
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        except OSError as error:
            msg = f"port {port} of monitoring.port cannot be opened ({error.strerror}); set another, or 0"
            raise RunError(msg) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="metrics"
        )
        self._thread.start()

    @property
    def address(self) -> str:
        """Where the figures are."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/metrics"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Handler(BaseHTTPRequestHandler):
    """Answers GET only, and only to who asks for this computer by name: no page elsewhere can read it."""

    metrics: Metrics
    timeout = _TIMEOUT_S
    server_version = "quietscope"
    sys_version = ""

    def do_GET(self) -> None:
        if self.headers.get("Host", "").rpartition(":")[0] not in _HOSTS:
            self._answer(403, "text/plain", "ask for 127.0.0.1\n")
        elif self.path == "/metrics":
            self._answer(200, "text/plain; version=0.0.4; charset=utf-8", self.metrics.render())
        elif self.path == "/healthz":
            wrong = self.metrics.health()
            self._answer(
                503 if wrong else 200, "application/json", json.dumps({"well": not wrong, "wrong": wrong})
            )
        else:
            self._answer(404, "text/plain", "there are /metrics and /healthz\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Keep requests out of the terminal."""

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)
