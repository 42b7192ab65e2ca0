"""What the application builder tells the transport: librdkafka settings, limits, counters.

Law of the file: values only. Faust's own settings have no room for these, so the builder sets
``app.streamproc_options = TransportOptions(...)`` on its ``faust.App`` before the worker starts;
an app without the attribute runs with the defaults.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from streamproc.errors import ConfigError
from streamproc.ops.counters import Counters, Partition
from streamproc.ops.health import Health
from streamproc.transport.broker_errors import BrokerErrors


class StateStore(Protocol):
    """State that moves with the partitions; see ``streamproc.transport.sequence_store``."""

    async def restore(self, partitions: Iterable[Partition]) -> None:
        """Read the state of assigned partitions, before any of their records is handed out.

        Waits for brokers for as long as they are away; a revocation and a stop cancel it.
        """

    def give_up(self, partitions: Iterable[Partition]) -> None:
        """Forget partitions that are no longer ours."""

    def begin_anew(self, partition: Partition) -> None:
        """Forget what belongs to offsets that are no more."""

    def is_due(self) -> bool:
        """Say whether it is time to write; offsets wait for that."""

    async def write(
        self,
        partitions: Collection[Partition],
        producer: Any,
        outputs_delivered: Callable[[], Any],
    ) -> bool:
        """Queue what changed; False when earlier outputs are not acknowledged."""

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """Learn which offsets are committed."""


ClientSettings = Mapping[str, str | int | float | bool]
"""librdkafka settings by their own names, for instance ``security.protocol``."""

# Changing one of these would break what the transport promises (nothing is committed before it
# is done, nothing is skipped in silence, one host stays in one partition).
RESERVED_SETTINGS = frozenset(
    {
        "acks",
        "auto.offset.reset",
        "bootstrap.servers",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "enable.partition.eof",
        "error_cb",
        "group.id",
        "group.protocol",
        "logger",
        "on_commit",
        "partition.assignment.strategy",
        "partitioner",
        "request.required.acks",
        "transactional.id",
    }
)
# librdkafka's own default, a little below the 1 MiB (plus header) that brokers accept by default.
MESSAGE_BYTES_MAX_DEFAULT = 1_000_000


@dataclass(frozen=True)
class TransportOptions:
    """Settings of the transport that are not Faust's.

    Attributes:
        client: librdkafka settings for the consumer and the producer: TLS, SASL, timeouts.
        consumer: librdkafka settings for the consumer alone; they win over ``client``.
        producer: librdkafka settings for the producer alone; they win over ``client``.
        batch_records: Most records taken from Kafka at a time; a batch for each partition.
        batches_in_flight: Batches that agents may hold unacknowledged, over all partitions, before
            more records are taken; the only backpressure.
        consume_timeout_s: Seconds that one call waits for the first record while none are there.
        flush_timeout_s: Seconds that one commit waits for the outputs before it is put off.
        batch_age_max_s: Seconds from hand-over to acknowledgement before the worker is ended.
        commit_stall_max_s: Seconds without a successful commit, while there is something to
            commit, before no more batches are handed out. Bounds what is processed twice.
        drain_timeout_s: Seconds that a revocation or a stop waits for agents to finish.
        leaves_group: Whether a member with a ``group.instance.id`` leaves the group when it stops
            (one without always does); else its partitions wait for its return.
        refusal_exit_s: Seconds for which brokers may refuse the worker before it is ended; 0: for
            ever.
        wanted_rights: Topic to the operations (``READ``, ``WRITE``) that this worker needs.
        crash_exit_s: Seconds that a crashed worker has to stop by itself before it is ended.
        tune_gc: Freeze the heap and raise the collector's thresholds after the first assignment.
        store: State that has to be written before an offset is committed; None: there is none.
        counters: What is counted, once per batch.
        health: Is told of progress and of what is waited for; others ask it.
        terminate: Ends the process at once with an exit code; replaced in tests.
        broker_errors: Takes what the clients report.
    """

    client: ClientSettings = field(default_factory=dict)
    consumer: ClientSettings = field(default_factory=dict)
    producer: ClientSettings = field(default_factory=dict)
    batch_records: int = 2_000
    batches_in_flight: int = 4
    consume_timeout_s: float = 0.01
    flush_timeout_s: float = 10.0
    batch_age_max_s: float = 300.0
    commit_stall_max_s: float = 5.0
    drain_timeout_s: float = 10.0
    leaves_group: bool = False
    refusal_exit_s: float = 60.0
    wanted_rights: Callable[[], Mapping[str, Collection[str]]] = dict
    crash_exit_s: float = 30.0
    tune_gc: bool = True
    store: StateStore | None = None
    counters: Counters = field(default_factory=Counters)
    health: Health = field(default_factory=Health)
    terminate: Callable[[int], None] = os._exit
    broker_errors: BrokerErrors = field(init=False)

    def __post_init__(self) -> None:
        errors = BrokerErrors(self.counters, self.client, exit_s=self.refusal_exit_s)
        object.__setattr__(self, "broker_errors", errors)
        for settings in (self.client, self.consumer, self.producer):
            if taken := sorted(RESERVED_SETTINGS & settings.keys()):
                raise ConfigError(
                    f"{', '.join(taken)}: set by streamproc itself and not to be changed;"
                    " remove it from the Kafka client settings"
                )

    @property
    def message_bytes_max(self) -> int:
        """Largest record, in bytes, that the producer accepts (``message.max.bytes``)."""
        settings = {**self.client, **self.producer}
        return int(settings.get("message.max.bytes", MESSAGE_BYTES_MAX_DEFAULT))


def options_of(app: Any) -> TransportOptions:
    """Return the options of a ``faust.App``; the defaults are attached to one that has none."""
    options = getattr(app, "streamproc_options", None)
    if options is None:
        options = app.streamproc_options = TransportOptions()
    if not isinstance(options, TransportOptions):
        raise ConfigError("app.streamproc_options is to be a TransportOptions")
    return options
