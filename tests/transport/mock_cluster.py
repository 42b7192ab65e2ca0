"""librdkafka's mock cluster through ctypes: chosen partition counts, outages, refused requests.

For tests only. The package's own embedded broker uses the public ``test.mock.num.brokers``
setting, which can do none of these.
"""

from __future__ import annotations

import ctypes
import socket
from pathlib import Path

import confluent_kafka

PRODUCE, LIST_OFFSETS, OFFSET_COMMIT = 0, 2, 8  # Kafka's API keys
HANG_MS = 600_000


def _library() -> ctypes.CDLL:
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    lib = ctypes.CDLL(str(next(folder.glob("librdkafka*"))))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    lib.rd_kafka_conf_new.restype = pointer
    lib.rd_kafka_conf_set.argtypes = [pointer, text, text, text, ctypes.c_size_t]
    lib.rd_kafka_new.restype = pointer
    lib.rd_kafka_new.argtypes = [number, pointer, text, ctypes.c_size_t]
    lib.rd_kafka_mock_cluster_new.restype = pointer
    lib.rd_kafka_mock_cluster_new.argtypes = [pointer, number]
    lib.rd_kafka_mock_cluster_bootstraps.restype = text
    lib.rd_kafka_mock_cluster_bootstraps.argtypes = [pointer]
    lib.rd_kafka_mock_topic_create.argtypes = [pointer, text, number, number]
    lib.rd_kafka_mock_broker_set_down.argtypes = [pointer, ctypes.c_int32]
    lib.rd_kafka_mock_broker_set_up.argtypes = [pointer, ctypes.c_int32]
    lib.rd_kafka_mock_broker_set_rtt.argtypes = [pointer, ctypes.c_int32, number]
    lib.rd_kafka_mock_group_initial_rebalance_delay_ms.argtypes = [pointer, ctypes.c_int32]
    lib.rd_kafka_mock_push_request_errors_array.argtypes = [
        pointer,
        ctypes.c_int16,
        ctypes.c_size_t,
        ctypes.POINTER(number),
    ]
    lib.rd_kafka_mock_cluster_destroy.argtypes = [pointer]
    lib.rd_kafka_destroy.argtypes = [pointer]
    return lib


class MockCluster:
    """One broker with the given topics; ``bootstrap`` is its address."""

    def __init__(self, topics: dict[str, int], rebalance_delay_ms: int = 100) -> None:
        self._lib = _library()
        error = ctypes.create_string_buffer(512)
        conf = self._lib.rd_kafka_conf_new()
        self._lib.rd_kafka_conf_set(conf, b"log_level", b"0", error, 512)
        self._client = self._lib.rd_kafka_new(0, conf, error, 512)
        assert self._client, error.value
        self._cluster = self._lib.rd_kafka_mock_cluster_new(self._client, 1)
        self.bootstrap = self._lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        # The cluster's thread looks at requests from here once a second; a connection wakes it.
        host, port = self.bootstrap.split(":")
        socket.create_connection((host, int(port))).close()
        self._lib.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, rebalance_delay_ms)
        for name, partitions in topics.items():
            made = self._lib.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
            assert made == 0, name

    def down(self) -> None:
        """Take the broker away."""
        self._lib.rd_kafka_mock_broker_set_down(self._cluster, 1)

    def up(self) -> None:
        """Bring the broker back."""
        self._lib.rd_kafka_mock_broker_set_up(self._cluster, 1)

    def hang(self) -> None:
        """Let the broker take requests and answer none, for longer than any test lasts."""
        self._lib.rd_kafka_mock_broker_set_rtt(self._cluster, 1, HANG_MS)

    def refuse(self, api_key: int, *codes: int) -> None:
        """Answer the next requests of a kind with these error codes, one each (0: no error)."""
        array = (ctypes.c_int * len(codes))(*codes)
        self._lib.rd_kafka_mock_push_request_errors_array(self._cluster, api_key, len(codes), array)

    def close(self) -> None:
        """End the cluster."""
        self._lib.rd_kafka_mock_cluster_destroy(self._cluster)
        self._lib.rd_kafka_destroy(self._client)
