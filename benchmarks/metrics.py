"""What the metrics cost: one scrape at a thousand rules and 32 partitions, and one batch's counts.

``python -m benchmarks.metrics`` prints the numbers of the machine at hand; nothing asserts them.
The scrape runs in a thread of the worker's process, so its time with the interpreter held is what
the event loop may wait. Times are CPU times: what neighbours take is not in them.
"""

from __future__ import annotations

import gzip
import statistics
import time

from prometheus_client import generate_latest

from streamproc.ops.collector import StreamprocCollector, metrics_registry
from streamproc.ops.counters import PRODUCE_BUCKETS_S, Counters, Histogram, Lag
from streamproc.ops.facts import RuleFacts, WorkerFacts

RULES, PARTITIONS, SCRAPES, BATCHES = 1_000, 32, 50, 200_000
TOPICS = ("alerts", "context-requests", "dead-letters", "sequence-state")


def full_counters() -> Counters:
    """Counters of a worker in which every rule has matched and cost time."""
    counters = Counters()
    for number in range(RULES):
        counters.rule_matches[f"rule-{number}"] = number
        counters.rule_seconds[f"rule-{number}"] = number / 1000
    for partition in range(PARTITIONS):
        counters.records_consumed["events", partition] = 1_000_000
        counters.partitions["events", partition] = Lag(1_000, 1_010, 1_700_000_000_000)
    for topic in TOPICS:
        counters.records_produced[topic] = 1
        counters.produce_seconds[topic] = Histogram(PRODUCE_BUCKETS_S)
    return counters


def measure_scrape(counters: Counters) -> tuple[int, int, int, list[float]]:
    """Return series, bytes, compressed bytes and the CPU seconds of each scrape."""
    rules = tuple(RuleFacts(f"rule-{n}", f"A rule with name {n}", "high") for n in range(RULES))
    facts = WorkerFacts("0", "digest", rules, output_topics=TOPICS)
    registry = metrics_registry(StreamprocCollector(counters, facts))
    text = b""
    seconds = []
    for _ in range(SCRAPES):
        began_s = time.thread_time()
        text = generate_latest(registry)
        seconds.append(time.thread_time() - began_s)
    series = sum(not line.startswith(b"#") for line in text.splitlines())
    return series, len(text), len(gzip.compress(text)), seconds


def measure_batch(counters: Counters) -> float:
    """Return the CPU seconds that one batch's own counts take."""
    phases = counters.phases
    began_s = time.thread_time()
    for _ in range(BATCHES):
        start_s = time.perf_counter()
        phases["prefilter"].observe(time.perf_counter() - start_s)
        phases["evaluate"].observe(time.perf_counter() - start_s)
        phases["produce"].observe(time.perf_counter() - start_s)
        counters.event_age.observe(0.2, 500)
        counters.outcomes["filtered"] += 500
    return (time.thread_time() - began_s) / BATCHES


def main() -> None:
    """Measure and print."""
    counters = full_counters()
    series, size, compressed, seconds = measure_scrape(counters)
    print(f"{RULES:,} rules, {PARTITIONS} partitions: {series:,} series")
    print(f"a scrape: {size:,} bytes, {compressed:,} compressed")
    print(
        f"  median {statistics.median(seconds) * 1000:.1f} ms, worst {max(seconds) * 1000:.1f} ms"
    )
    print(f"the counts of one batch: {measure_batch(counters) * 1e6:.2f} us")


if __name__ == "__main__":
    main()
