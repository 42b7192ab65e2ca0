"""OpenTelemetry in the worker: made when a setting asks for it, started and stopped with the app.

Law of the file: without the setting nothing of OpenTelemetry is imported.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from mode import Service

from streamproc import __version__
from streamproc.config import Settings
from streamproc.errors import ConfigError
from streamproc.ops.collector import StreamprocCollector
from streamproc.ops.counters import Counters

if TYPE_CHECKING:
    from streamproc.ops.telemetry import Telemetry

logger = logging.getLogger(__name__)


def telemetry_of(settings: Settings) -> Telemetry | None:
    """Return what sends traces and metrics; None where none is asked for.

    Raises:
        ConfigError: It is asked for, and OpenTelemetry is not installed.
    """
    if not settings.otel_endpoint:
        return None
    try:
        from streamproc.ops.telemetry import Telemetry, TelemetryOptions
    except ImportError as error:
        raise ConfigError(
            f"otel_endpoint = {settings.otel_endpoint}: OpenTelemetry is not installed ({error});"
            " install streamproc[otel], or leave otel_endpoint empty"
        ) from None
    return Telemetry(
        TelemetryOptions(
            settings.otel_endpoint,
            settings.otel_metrics_interval_s,
            __version__,
            settings.group_instance_id,
            settings.client_id,
            settings.group_id,
            settings.events_topic,
        )
    )


def define_telemetry(
    app: Any, telemetry: Telemetry, counters: Counters, collector: StreamprocCollector
) -> None:
    """Send metrics while the worker runs, and at its end what is left."""

    @app.service
    class Exporter(Service):
        """Starts and stops the threads that send."""

        async def on_start(self) -> None:
            telemetry.start(counters, collector.collect)

        async def on_stop(self) -> None:
            await asyncio.get_running_loop().run_in_executor(None, telemetry.close)
