"""The HTTP server of ``/metrics``.

Law of the file: it answers from threads of its own and takes nothing from the event loop: a busy
or blocked worker is the very one that somebody looks at.
"""

from __future__ import annotations

import threading
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server

from streamproc.errors import ConfigError


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


def serve_metrics(host: str, port: int, registry: CollectorRegistry) -> MetricsServer:
    """Serve ``/metrics`` from a thread of its own; a busy event loop does not delay it.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        registry: What to serve, as ``metrics_registry`` makes it.

    Raises:
        ConfigError: The address cannot be listened on.
    """
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"metrics_host = {host}, metrics_port = {port}: cannot listen there: {reason};"
            " choose another port, or 0 to serve no metrics"
        ) from None
    return MetricsServer(server, thread)
