"""A plain Faust agent on Faust's stock aiokafka driver: ``orjson.loads`` and the same matchers.

Run: ``python -m benchmarks.contenders.faust_agent BOOTSTRAP TOPIC RECORDS FOLDER RULES ...``;
prints the measured run as JSON. Faust keeps its files in FOLDER.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import faust

from benchmarks.contenders.rules import Matchers
from benchmarks.meter import Meter


def main(bootstrap: str, topic: str, records: str, folder: str, *rules: str) -> None:
    """Consume, measure, print; ends the process as soon as the last record is done."""
    total = int(records)
    matchers = Matchers([Path(path) for path in rules])
    meter = Meter(total)
    app: Any = faust.App(
        f"benchmark-faust-{uuid.uuid4().hex[:8]}",
        broker=f"kafka://{bootstrap}",
        datadir=folder,
        store="memory://",
        consumer_auto_offset_reset="earliest",
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    events = app.topic(topic, value_type=bytes, value_serializer="raw", key_serializer="raw")

    @app.agent(events)  # type: ignore[untyped-decorator]
    async def detect(values: Any) -> None:
        count = 0
        async for value in values:
            matchers.evaluate(value)
            count += 1
            if count >= meter.next_at:
                meter.mark(count)
            if count == total:
                print(json.dumps(meter.measured(matchers.found).as_json()), flush=True)
                os._exit(0)

    faust.Worker(app, loglevel="WARNING", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main(*sys.argv[1:])
