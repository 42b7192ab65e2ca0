"""The worker's numbers, read from its own metrics page.

Law of the file: a page that cannot be read (the worker still starts) is not an error; the numbers
stay as they were. Whether the worker lives is ``streamproc.demo.worker``'s question.
"""

from __future__ import annotations

import threading
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from streamproc.demo.board import WorkerNumbers

_SCRAPE_INTERVAL_S = 0.1
_SCRAPE_TIMEOUT_S = 2.0


def parse_page(page: str) -> WorkerNumbers:
    """The numbers on a metrics page; what is not on it counts as zero."""
    totals: dict[str, float] = {}
    outcomes: dict[str, int] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == "streamproc_events_processed_total":
                outcomes[sample.labels["outcome"]] = int(sample.value)
            else:
                totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
    return WorkerNumbers(
        consumed=int(totals.get("streamproc_records_consumed_total", 0)),
        consumed_bytes=int(totals.get("streamproc_record_bytes_consumed_total", 0)),
        outcomes=outcomes,
        records_lost=int(totals.get("streamproc_records_lost_total", 0)),
    )


class Gauge:
    """Reads the page again and again on a thread, so that a slow answer delays nobody."""

    def __init__(self, url: str) -> None:
        self.numbers = WorkerNumbers()
        self._url = url
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-gauge", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading; waits for a read under way."""
        self._ended.set()
        self._thread.join(_SCRAPE_TIMEOUT_S + 1)

    def _run(self) -> None:
        while not self._ended.wait(_SCRAPE_INTERVAL_S):
            try:
                with urllib.request.urlopen(  # noqa: S310 - our own http:// address
                    self._url, timeout=_SCRAPE_TIMEOUT_S
                ) as answer:
                    self.numbers = parse_page(answer.read().decode())
            except (urllib.error.URLError, OSError, ValueError):
                continue
