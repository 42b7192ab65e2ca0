"""Reading the worker's metrics page."""

from __future__ import annotations

import pytest

from streamproc.demo.board import WorkerNumbers
from streamproc.demo.gauge import Gauge, parse_page

PAGE = """\
# HELP streamproc_records_consumed_total Records taken in.
# TYPE streamproc_records_consumed_total counter
streamproc_records_consumed_total{topic="streamproc.events",partition="0"} 1200.0
streamproc_records_consumed_total{topic="streamproc.events",partition="1"} 34.0
# TYPE streamproc_record_bytes_consumed_total counter
streamproc_record_bytes_consumed_total{topic="streamproc.events"} 3.6e+06
# TYPE streamproc_events_processed_total counter
streamproc_events_processed_total{outcome="filtered"} 1230.0
streamproc_events_processed_total{outcome="matched"} 4.0
# TYPE python_info gauge
python_info{version="3.11"} 1.0
"""


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        pytest.param(
            PAGE, WorkerNumbers(1234, 3_600_000, {"filtered": 1230, "matched": 4}, 0), id="full"
        ),
        pytest.param("", WorkerNumbers(), id="empty"),
        pytest.param(
            'streamproc_records_lost_total{topic="e",partition="0"} 3\n',
            WorkerNumbers(records_lost=3),
            id="lost",
        ),
    ],
)
def test_page_is_summed_up(page: str, expected: WorkerNumbers):
    """Partitions are added; what is not there is zero."""
    assert parse_page(page) == expected


def test_unreachable_page_is_no_error():
    """The worker needs seconds to start; until then the numbers are zero."""
    gauge = Gauge("http://127.0.0.1:1/metrics")
    gauge.start()
    gauge.stop()
    assert gauge.numbers == WorkerNumbers()
