"""The HTTP server of ``/metrics`` and of the health pages.

Law of the file: it answers from threads of its own and takes nothing from the event loop: a busy
or blocked worker is the very one that somebody looks at. A caller who is slow, or one of many,
takes a bounded share of the worker.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from streamproc.errors import ConfigError

ANSWERS_AT_ONCE = 16
CALLER_TIMEOUT_S = 10.0


class Page(NamedTuple):
    """An answer: JSON, and whether it is good news (200) or not (503)."""

    is_good: bool
    body: bytes


Pages = Mapping[str, Callable[[], Page]]
"""Path to what makes the answer, in a thread of the server."""


class MetricsServer:
    """A running HTTP server; made by ``serve_metrics``.

    Attributes:
        port: The port that it listens on.
    """

    def __init__(self, server: WSGIServer, thread: threading.Thread) -> None:
        self._server = server
        self._thread = thread
        self.port = int(server.server_port)

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve_metrics(
    host: str, port: int, registry: CollectorRegistry, pages: Pages | None = None
) -> MetricsServer:
    """Serve ``/metrics`` and the pages from threads; a busy event loop does not delay them.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        registry: What to serve, as ``metrics_registry`` makes it.
        pages: What else to serve.

    Raises:
        ConfigError: The address cannot be listened on.
    """
    application = _application(registry, pages or {})
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        kind = type("Server", (_Server,), {"address_family": family})
        server: WSGIServer = make_server(host, port, application, kind, _Caller)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"metrics_host = {host}, metrics_port = {port}: cannot listen there: {reason};"
            " choose another port, or 0 to serve no metrics"
        ) from None
    thread = threading.Thread(target=server.serve_forever, name="streamproc-http", daemon=True)
    thread.start()
    return MetricsServer(server, thread)


def _application(registry: CollectorRegistry, pages: Pages) -> Any:
    metrics: Any = make_wsgi_app(registry, disable_compression=False)

    def answer(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD"):
            return _respond(start, HTTPStatus.METHOD_NOT_ALLOWED, b"")
        if path == "/metrics":
            found: Iterable[bytes] = metrics(environ, start)
            return found
        if path not in pages:
            known = " ".join(("/metrics", *pages)).encode()
            return _respond(start, HTTPStatus.NOT_FOUND, b'{"pages": "%s"}\n' % known)
        page = pages[path]()
        status = HTTPStatus.OK if page.is_good else HTTPStatus.SERVICE_UNAVAILABLE
        return _respond(start, status, b"" if method == "HEAD" else page.body)

    return answer


def _respond(start: Any, status: HTTPStatus, body: bytes) -> list[bytes]:
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    start(f"{status.value} {status.phrase}", headers)
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = ANSWERS_AT_ONCE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._free = threading.BoundedSemaphore(ANSWERS_AT_ONCE)
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)  # a new thread for everybody who asks has no bound
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a caller who hung up."""


class _Caller(WSGIRequestHandler):
    timeout = CALLER_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as the base names it
        """Log no requests: there is one every few seconds for as long as the worker lives."""
