"""Puts many records on a topic as fast as the broker takes them."""

from collections.abc import Iterable

from confluent_kafka import KafkaException, Producer

from millrace.kernel.errors import TransientError

_FLUSH_S = 30.0
# The producer is polled every so many records: delivery reports would pile up otherwise.
_POLL_EVERY = 1000


class Burst:
    """A producer for load. It costs less than the SDK's, so that it disturbs the measurement less.

    Args:
        bootstrap: Broker addresses.
    """

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "queue.buffering.max.messages": 1_000_000,
                # As Kafka's own clients choose it: a user's records stay in one partition whoever sends them.
                "partitioner": "murmur2_random",
            }
        )
        self._failed = 0

    def send(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Send (key, value) pairs and wait until all are confirmed.

        Raises:
            TransientError: Not every record was confirmed.
        """
        for number, (key, value) in enumerate(records):
            self._producer.produce(topic, value, key=key, on_delivery=self._delivered)
            if number % _POLL_EVERY == 0:
                self._producer.poll(0)
        left = self._producer.flush(_FLUSH_S)
        if left or self._failed:
            raise TransientError(f"The broker did not confirm {left + self._failed} records of the load; try again.")

    def _delivered(self, error: KafkaException | None, message: object) -> None:
        self._failed += error is not None
