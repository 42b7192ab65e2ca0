"""A Quix Streams application: ``orjson.loads`` and the same matchers.

Run by the Python of Quix' own environment: ``python -m benchmarks.contenders.quix SITE BOOTSTRAP
TOPIC RECORDS FOLDER RULES ...``; prints the measured run as JSON. The product's libraries (orjson,
Hyperscan and so on) come from SITE, its site-packages, which is searched last: of all that both
environments have, Quix' own is taken.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any


def main(site: str, bootstrap: str, topic: str, records: str, folder: str, *rules: str) -> None:
    """Consume, measure, print; ends the process as soon as the last record is done."""
    sys.path.append(site)
    from quixstreams import Application  # type: ignore[import-not-found,unused-ignore]

    from benchmarks.contenders.loop import SETTINGS
    from benchmarks.contenders.rules import Matchers
    from benchmarks.meter import Meter

    total = int(records)
    matchers = Matchers([Path(path) for path in rules])
    meter = Meter(total)
    app = Application(
        broker_address=bootstrap,
        consumer_group=f"benchmark-quix-{uuid.uuid4().hex[:8]}",
        auto_offset_reset="earliest",
        auto_create_topics=False,
        state_dir=str(Path(folder) / "quix"),
        consumer_extra_config=dict(SETTINGS),
        loglevel="WARNING",
    )
    events = app.topic(topic, value_deserializer="bytes", key_deserializer="bytes")
    count = 0

    def detect(value: Any) -> None:
        nonlocal count
        matchers.evaluate(value)
        count += 1
        if count >= meter.next_at:
            meter.mark(count)
        if count == total:
            print(json.dumps(meter.measured(matchers.found).as_json()), flush=True)
            os._exit(0)

    app.dataframe(events).update(detect)
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
