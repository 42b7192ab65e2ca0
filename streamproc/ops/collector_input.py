"""Metrics of what comes in: records, outcomes, lag, age, phases.

Law of the file: a value that is not known is left out; 0 would say that all is well.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from streamproc.ops.counters import Counters
from streamproc.ops.families import counter, counter_by_partition, histogram, histograms

OUTCOMES = ("matched", "unmatched", "filtered", "invalid", "failed", "canary")
INVALID_REASONS = ("empty", "json", "not_object", "too_large")
DEAD_LETTER_REASONS = (*INVALID_REASONS, "failed")
INCOMPLETE_FIELDS = ("@timestamp", "host.id")


def input_metrics(counters: Counters, now_s: float) -> Iterator[Metric]:
    """Yield all metrics of the group; ``now_s`` is seconds since the epoch."""
    yield from _records(counters)
    yield from _outcomes(counters)
    yield from _lag(counters, now_s)
    yield histogram(
        "streamproc_event_age_seconds",
        "Time from a record's own timestamp until it was processed; a batch counts as old as"
        " its oldest record.",
        counters.event_age,
    )
    yield histograms(
        "streamproc_batch_phase_duration_seconds",
        "Time that a batch took: prefilter (a part of evaluate); evaluate, all from bytes to"
        " alerts and requests; produce, until they were queued; and what a commit took, with the"
        " wait for acknowledgements.",
        "phase",
        counters.phases,
    )


def _records(counters: Counters) -> Iterator[Metric]:
    assigned = dict(counters.partitions)
    consumed = dict(counters.records_consumed)
    yield counter_by_partition(
        "streamproc_records_consumed",
        "Records read from Kafka, of the partitions that are assigned now.",
        {key: count for key, count in consumed.items() if key in assigned},
    )
    yield counter(
        "streamproc_record_bytes_consumed",
        "Bytes of the values of the records read.",
        "topic",
        counters.record_bytes,
    )
    yield counter_by_partition(
        "streamproc_records_lost",
        "Records that were deleted by retention before they could be read.",
        dict.fromkeys(assigned, 0) | dict(counters.records_lost),
    )


def _outcomes(counters: Counters) -> Iterator[Metric]:
    outcomes = dict(counters.outcomes)
    yield counter(
        "streamproc_events_processed",
        "Records by what became of them; the outcomes add up to all records consumed. canary: a"
        " synthetic event of this worker.",
        "outcome",
        outcomes,
        OUTCOMES,
    )
    processed = sum(outcomes.values())
    yield GaugeMetricFamily(
        "streamproc_prefilter_ended_ratio",
        "Share of all processed records that the prefilter ended, 0 to 1, since the start.",
        outcomes.get("filtered", 0) / processed if processed else 0.0,
    )
    yield counter(
        "streamproc_events_invalid",
        "Records that are no event and went to dead letters.",
        "reason",
        counters.invalid,
        INVALID_REASONS,
    )
    yield counter(
        "streamproc_events_incomplete",
        "Events evaluated although they lack a field that every event should have.",
        "field",
        counters.incomplete,
        INCOMPLETE_FIELDS,
    )
    yield counter(
        "streamproc_dead_letter_records",
        "Records written to dead letters.",
        "reason",
        counters.dead_letters,
        DEAD_LETTER_REASONS,
    )


def _lag(counters: Counters, now_s: float) -> Iterator[Metric]:
    labels = ("topic", "partition")
    records = GaugeMetricFamily(
        "streamproc_consumer_lag_records",
        "Records that the partition holds after the last one processed.",
        labels=labels,
    )
    seconds = GaugeMetricFamily(
        "streamproc_consumer_lag_seconds",
        "0 when caught up, else the age of the next record to be processed, or where that is not"
        " known yet the time since nothing was left to process.",
        labels=labels,
    )
    partitions = dict(counters.partitions)
    for (topic, partition), lag in sorted(partitions.items()):
        place = (topic, str(partition))
        if (behind := lag.records()) is not None:
            records.add_metric(place, behind)
        if (behind_s := lag.seconds(now_s)) is not None:
            seconds.add_metric(place, behind_s)
    yield records
    yield seconds
    yield GaugeMetricFamily(
        "streamproc_last_processed_timestamp_seconds",
        "Time of the newest record processed, of the partitions that are assigned now.",
        max((lag.timestamp_ms for lag in partitions.values()), default=0) / 1000,
    )
