"""librdkafka's mock cluster: an in-process broker that speaks the Kafka protocol on a loopback port.

Called through librdkafka's public C interface: the Python binding only sets the number of brokers. Measured with
librdkafka 2.x:

- Fetch: without data at the moment of asking, the answer is held for the whole `fetch_max_wait_ms`, even if a record
  arrives meanwhile. The delay of a record is therefore uniform between 0 and that wait. At 100 events/s (p50/p99, and
  the CPU of an idle aiokafka / kafka-python consumer): 50 ms 27/52 ms, 2/3 %; 10 ms 6.3/12 ms, 6/9 %; 5 ms 3.9/7.5 ms,
  9/15 %; 2 ms 2.7/4.6 ms, 14/22 %. Hence 5 ms for those whose delay a user sees, more for others.
- Join: the first member of an empty group waits for the initial rebalance delay, 3 s by default, here none. A member
  that died is replaced after its session timeout and that time again less one second: hence a session timeout of 2 s.
- A partition keeps about 5 MB or 100,000 records, in memory; older ones are dropped.
- A topic is made by its first use, with four partitions.
"""

import ctypes
from pathlib import Path
from typing import Any

from millrace.apps.stacks.child import Child
from millrace.kernel.errors import FatalError
from millrace.kernel.extras import how_to_install

FETCH_WAIT_MS = 5
SESSION_TIMEOUT_MS = 2000
_PRODUCER = 0
_ERROR_BYTES = 512


class MockKafka:
    """The broker, in this process, on its own threads."""

    name = "kafka"
    child: Child | None = None

    def __init__(self) -> None:
        self._library: ctypes.CDLL | None = None
        self._client: int | None = None
        self._cluster: int | None = None
        self._bootstrap = ""

    def start(self) -> None:
        """Open the broker's port.

        Raises:
            FatalError: confluent-kafka is missing or cannot start it.
        """
        library = self._library = _load_library()
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        options = library.rd_kafka_conf_new()
        library.rd_kafka_conf_set(options, b"log_level", b"3", error, _ERROR_BYTES)
        self._client = library.rd_kafka_new(_PRODUCER, options, error, _ERROR_BYTES)
        if not self._client:
            raise FatalError(f"The embedded Kafka could not start: {error.value.decode(errors='replace')}.")
        self._cluster = library.rd_kafka_mock_cluster_new(self._client, 1)
        if not self._cluster:
            raise FatalError("The embedded Kafka could not open a loopback port; see whether any is left.")
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        self._bootstrap = library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def ready(self) -> bool:
        """Return True: the port is open once `start` has returned."""
        return bool(self._bootstrap)

    def stop(self) -> None:
        """Close the broker; what it held is gone."""
        if self._library is not None and self._cluster:
            self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        if self._library is not None and self._client:
            self._library.rd_kafka_destroy(self._client)
        self._client = self._cluster = None

    def create_topic(self, name: str, partitions: int) -> None:
        """Make a topic before its first use, to choose its number of partitions.

        Raises:
            FatalError: It exists.
        """
        if self._library is None or self._library.rd_kafka_mock_topic_create(
            self._cluster, name.encode(), partitions, 1
        ):
            raise FatalError(f"The topic {name} could not be made: it exists, or the embedded Kafka is not running.")

    def settings(self) -> dict[str, Any]:
        """Return its address and the waits that suit it."""
        return {
            "kafka_bootstrap": self._bootstrap,
            "kafka_fetch_wait_ms": FETCH_WAIT_MS,
            "kafka_session_timeout_ms": SESSION_TIMEOUT_MS,
        }


def _load_library() -> ctypes.CDLL:
    """Load the librdkafka that the confluent-kafka wheel carries, and describe the functions used."""
    try:
        import confluent_kafka
    except ImportError:
        raise FatalError(f"The embedded Kafka needs confluent-kafka; {how_to_install('embedded')}.") from None
    package = Path(confluent_kafka.__file__).parent
    # The folders that auditwheel (Linux) and delocate (macOS) put libraries in.
    found = [*package.parent.glob("confluent_kafka.libs/librdkafka*"), *package.glob(".dylibs/librdkafka*.dylib")]
    if not found:
        raise FatalError("The installed confluent-kafka carries no librdkafka: install its wheel from PyPI.")
    return _describe(ctypes.CDLL(str(found[0])))


def _describe(library: ctypes.CDLL) -> ctypes.CDLL:
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_conf_set": (number, [pointer, text, text, text, ctypes.c_size_t]),
        "rd_kafka_new": (pointer, [number, pointer, text, ctypes.c_size_t]),
        "rd_kafka_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_new": (pointer, [pointer, number]),
        "rd_kafka_mock_cluster_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_topic_create": (number, [pointer, text, number, number]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
