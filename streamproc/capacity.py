"""How many workers, partitions and bytes a stream of events asks for.

Law of the file: arithmetic on measured numbers, and never the cheaper guess. An event larger
than those measured costs in proportion, a smaller one as much as those measured; the busiest
worker is planned to use ``UTILISATION`` of its core, and one worker may be lost at the peak.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from streamproc.errors import ConfigError
from streamproc.measured import EVENT_BYTES, Measured

UTILISATION: Final = 0.6
"""Share of its core that a worker uses at the planned rate: the rest is for bursts, and backlog."""

GROWTH: Final = 3
"""Partitions per planned worker: partitions cannot be added without moving hosts between them."""

LAG_S: Final = 60
"""Seconds of backlog after which an autoscaler should add a worker.

As the chart's ``keda.maxLagSeconds``: more than ``session_timeout_s``, or the backlog that a worker
leaves behind when it is scaled away would call it back.
"""

_MEMORY_FACTOR: Final = 1.5
_MEMORY_STEP: Final = 128 * 1024**2
# Counts with many divisors: workers in many numbers share them evenly.
_PARTITIONS: Final = (6, 12, 24, 36, 48, 60, 72, 96, 120, 144, 180, 240, 360, 480, 720, 960, 1440)


@dataclass(frozen=True, slots=True)
class Load:
    """The stream to be planned for.

    Attributes:
        events_per_s: Events per second at the peak.
        event_bytes: Mean size of an event, bytes.
        outage_s: Longest outage whose backlog is to be worked off, seconds.
        retention_h: How long the events topic keeps events, hours.
        replication: Copies of each partition.
    """

    events_per_s: float
    event_bytes: int = EVENT_BYTES
    outage_s: float = 600
    retention_h: float = 72
    replication: int = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What the load asks for.

    Attributes:
        events_per_core_s: Events per second that one core does at most.
        workers: Workers of one core each; one of them may be lost at the peak.
        partitions: Partitions of the events topic.
        busy_share: Share of its core that each worker uses at the peak, 0 to 1.
        catch_up_s: Time to work off the outage's backlog while the peak goes on, seconds.
        input_bytes_per_s: What all workers read, bytes per second, uncompressed.
        memory_limit_bytes: Memory limit of one worker, bytes.
        lag_threshold: Records of lag per worker at which an autoscaler adds one.
        stored_bytes: What the events topic holds on all brokers together, bytes, uncompressed.
    """

    events_per_core_s: float
    workers: int
    partitions: int
    busy_share: float
    catch_up_s: float
    input_bytes_per_s: float
    memory_limit_bytes: int
    lag_threshold: int
    stored_bytes: float


def plan(load: Load, measured: Measured) -> Plan:
    """Plan for a load with a rule set of measured cost.

    Raises:
        ConfigError: A number is no amount (zero or less, infinite, none at all), or no topic has
            so many partitions.
    """
    _check(load, measured)
    per_core = measured.events_per_cpu_s * min(1.0, EVENT_BYTES / load.event_bytes)
    # The second bound: with one worker lost, the others still keep up.
    workers = max(
        math.ceil(load.events_per_s / (per_core * UTILISATION)),
        math.ceil(load.events_per_s / per_core) + 1,
    )
    spare = workers * per_core - load.events_per_s
    return Plan(
        events_per_core_s=per_core,
        workers=workers,
        partitions=_partitions(workers * GROWTH),
        busy_share=load.events_per_s / (workers * per_core),
        catch_up_s=load.events_per_s * load.outage_s / spare,
        input_bytes_per_s=load.events_per_s * load.event_bytes,
        memory_limit_bytes=_memory(measured.peak_bytes),
        lag_threshold=math.floor(per_core * UTILISATION * LAG_S),
        stored_bytes=load.events_per_s
        * load.event_bytes
        * load.retention_h
        * 3600
        * load.replication,
    )


def _check(load: Load, measured: Measured) -> None:
    above_zero = {
        "events per second": load.events_per_s,
        "bytes per event": load.event_bytes,
        "events per core": measured.events_per_cpu_s,
        "hours of retention": load.retention_h,
        "copies of each partition": load.replication,
    }
    for what, value in above_zero.items():
        if not 0 < value < math.inf:
            raise ConfigError(f"{what} = {value:g}: must be a number above zero")
    if not 0 <= load.outage_s < math.inf:
        raise ConfigError(f"minutes of outage = {load.outage_s / 60:g}: must be zero or more")


def _partitions(wanted: int) -> int:
    for partitions in _PARTITIONS:
        if partitions >= wanted:
            return partitions
    most = _PARTITIONS[-1]
    raise ConfigError(
        f"{wanted:,} partitions would be needed, more than one topic should have ({most:,}):"
        " split the stream over several topics, each with workers of its own"
    )


def _memory(peak_bytes: int) -> int:
    return math.ceil(peak_bytes * _MEMORY_FACTOR / _MEMORY_STEP) * _MEMORY_STEP
