"""A collector: an HTTP server that takes OTLP and keeps what it was sent, decoded."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_REQUESTS = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}


class Receiver:
    """Listens on a free port of this machine; a context manager.

    Attributes:
        address: What to set as the endpoint.
        headers: Those of the last request.
    """

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self._kept: dict[str, list[Any]] = {path: [] for path in _REQUESTS}
        self._arrived = threading.Condition()
        receiver = self

        class Caller(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # as the base calls it
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.keep(self.path, body, dict(self.headers))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Caller)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def keep(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        with self._arrived:
            self._kept[path].append(_REQUESTS[path].FromString(body))
            self.headers = headers
            self._arrived.notify_all()

    def wait(self, path: str, deadline_s: float = 60) -> None:
        """Wait until something has arrived; fails when nothing comes."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: self._kept[path], deadline_s), f"none at {path}"

    def spans(self) -> list[tuple[Any, Any]]:
        """Every span that has arrived, with its resource."""
        return [
            (span, of_resource.resource)
            for request in self._kept["/v1/traces"]
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]

    def metrics(self) -> dict[str, Any]:
        """The metrics of the last export, by name; it is one request with one scope."""
        (of_resource,) = self._kept["/v1/metrics"][-1].resource_metrics
        (of_scope,) = of_resource.scope_metrics
        found = {metric.name: metric for metric in of_scope.metrics}
        assert len(found) == len(of_scope.metrics), "a name occurs twice"
        return found


def attributes(place: Any) -> dict[str, Any]:
    """The attributes of a span, a data point or a resource."""
    return {
        item.key: getattr(item.value, item.value.WhichOneof("value")) for item in place.attributes
    }
