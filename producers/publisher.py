"""The publisher SDK: an app sends activity; every call ends in confirmed delivery or in an exception."""

import math
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from millrace.kernel.contracts import ActivityEvent, CatalogueItem
from millrace.kernel.errors import ConfigurationError, no_broker
from millrace.kernel.kafka_client import kafka_options
from millrace.kernel.settings import Settings, load_settings
from millrace.producers.delivery import (
    DELIVERY_TIMEOUT_S,
    Delivered,
    DeliveryError,
    Pending,
    collect,
    raise_joined,
    undelivered,
)
from millrace.producers.in_flight import InFlight
from millrace.producers.records import encode_event, encode_item, make_event, name_of

# A request may take half of a record's budget, so that a lost one is tried again within it.
_REQUEST_SHARE = 0.5
# 10,000 records of some 150 bytes: enough for any burst, little enough to lose when the process is killed.
MAX_IN_FLIGHT = 10_000
# Waiting this long for other records makes batches under load and costs a single record 2 ms.
LINGER_MS = 2
_IDLE_CLOSE_S = 0.2


class ActivityPublisher:
    """Sends events and items to Kafka; a context manager that any number of threads may share.

    ```python
    with ActivityPublisher() as publisher:
        publisher.rate("user-7", "item-318", 4.5)
    ```

    Args:
        settings: Addresses and rules; read from the environment when left out.
        max_in_flight: Most records on their way, 1 or more; the next one waits for room.
        delivery_timeout_s: Longest wait for room, and for the confirmation of one record, in seconds.
        linger_ms: How long a record may wait for others to share a request, in milliseconds; less than half of
            the delivery timeout.

    Raises:
        ConfigurationError: An argument is out of its range.
        TransientError: No broker answers.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        max_in_flight: int = MAX_IN_FLIGHT,
        delivery_timeout_s: float = DELIVERY_TIMEOUT_S,
        linger_ms: int = LINGER_MS,
    ) -> None:
        _check_arguments(max_in_flight, delivery_timeout_s, linger_ms)
        self._settings = settings or load_settings()
        self._policy = self._settings.event_policy
        self._topics = self._settings.topics
        self._timeout_s = delivery_timeout_s
        self._in_flight = InFlight(max_in_flight, delivery_timeout_s)
        self._closed = False
        self._producer = _connect(self._settings, delivery_timeout_s, linger_ms)

    def __enter__(self) -> "ActivityPublisher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self.close()

    def rate(
        self, user_id: str, item_id: str, value: float, ts_ms: int | None = None, event_id: str | None = None
    ) -> Delivered:
        """Send one rating and wait until the broker has it.

        Args:
            user_id: Who rated.
            item_id: What was rated.
            value: 0.5 to 5.0.
            ts_ms: When, in milliseconds since 1970; now when left out.
            event_id: Makes a repeated call harmless; a random one when left out.

        Raises:
            InvalidRecordError: The rating breaks the contract (a ValueError); nothing was sent.
            DeliveryError: The broker did not confirm it.
        """
        return self.publish(make_event(user_id, item_id, value, ts_ms=ts_ms, event_id=event_id))

    def publish(self, event: ActivityEvent) -> Delivered:
        """Send one event and wait until the broker has it.

        Raises:
            InvalidRecordError: The event breaks the contract (a ValueError); nothing was sent.
            DeliveryError: The broker did not confirm it.
        """
        return self._send_event(event).result(self._timeout_s)

    def publish_many(self, events: Iterable[ActivityEvent]) -> list[Delivered]:
        """Send events in one go and wait until the broker has all of them.

        The events are checked first: if one breaks the contract, none is sent.

        Raises:
            InvalidRecordError: An event breaks the contract (a ValueError); nothing was sent.
            DeliveryError: `records` holds every event that was not confirmed; the others were.
        """
        encoded = [(event, *encode_event(event, self._policy)) for event in events]
        pending: list[Pending] = []
        failed: list[DeliveryError] = []
        for event, key, value in encoded:
            try:
                pending.append(self._send(self._topics.events, key, value, event, name_of(event)))
            except DeliveryError as error:
                failed.append(error)
        delivered, late = collect(pending, self._timeout_s)
        raise_joined([*failed, *late], len(encoded))
        return delivered

    def publish_async(
        self, event: ActivityEvent, on_delivery: Callable[[DeliveryError | None], None] | None = None
    ) -> Pending:
        """Send one event without waiting; waits only while `max_in_flight` records are on their way.

        Args:
            event: What to send.
            on_delivery: Called with None or the error, on the sending thread: be quick. A failure without it
                is raised by the next `flush`.

        Raises:
            InvalidRecordError: The event breaks the contract (a ValueError); nothing was sent.
            DeliveryError: No room within the delivery timeout.
        """
        key, value = encode_event(event, self._policy)
        report = on_delivery or self._in_flight.remember
        return self._send(self._topics.events, key, value, event, name_of(event), report=report)

    def upsert_item(self, item: CatalogueItem) -> Delivered:
        """Add or replace one catalogue item and wait until the broker has it.

        Raises:
            InvalidRecordError: The item breaks the contract (a ValueError); nothing was sent.
            DeliveryError: The broker did not confirm it.
        """
        return self._send_item(item).result(self._timeout_s)

    def upsert_items(self, items: Iterable[CatalogueItem]) -> int:
        """Send catalogue items in one go, wait until the broker has all of them and return their number.

        Raises:
            InvalidRecordError: An item breaks the contract; the ones before it were sent.
            DeliveryError: `records` holds every item that was not confirmed; the others were.
        """
        delivered, failed = collect([self._send_item(item) for item in items], self._timeout_s)
        raise_joined(failed, len(delivered) + len(failed))
        return len(delivered)

    def publish_raw(
        self,
        key: bytes | None,
        value: bytes | None,
        topic: str | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> Delivered:
        """Send bytes as they are, unchecked: for dead letters that are replayed, and for tests of bad input.

        Args:
            key: Record key.
            value: Record value.
            topic: Where to; the events topic when left out.
            headers: Record headers.

        Raises:
            DeliveryError: The broker or its size limit refused the record.
        """
        target = topic or self._topics.events
        name = f"The record with key {key!r} for {target}"
        return self._send(target, key, value, target, name, list(headers)).result(self._timeout_s)

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until everything sent so far is confirmed.

        Raises:
            DeliveryError: Something is still unconfirmed, or a record of `publish_async` failed since the last call.
        """
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        failed = self._in_flight.wait_empty(limit_s)
        raise_joined(failed, len(failed))

    def close(self) -> None:
        """Send what is left, as far as the broker takes it, and close the connection."""
        if not self._closed:
            self._closed = True
            # An idle sending thread may sleep through the call to end; with nothing to send nothing is lost by that.
            self._producer.close(timeout=self._timeout_s if self._in_flight.count else _IDLE_CLOSE_S)

    def _send_event(self, event: ActivityEvent) -> Pending:
        key, value = encode_event(event, self._policy)
        return self._send(self._topics.events, key, value, event, name_of(event))

    def _send_item(self, item: CatalogueItem) -> Pending:
        key, value = encode_item(item, self._policy)
        return self._send(self._topics.items, key, value, item, name_of(item))

    def _send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        record: object,
        name: str,
        headers: list[tuple[str, bytes]] | None = None,
        report: Callable[[DeliveryError | None], None] | None = None,
    ) -> Pending:
        """Hand one record to the sending thread; `record` and `name` are for messages."""
        if self._closed:
            raise DeliveryError(f"{name} was not sent: the publisher is closed.", [record])
        self._in_flight.enter(record, name)
        try:
            future = self._producer.send(topic, value=value, key=key, headers=headers)
        except BaseException as error:
            self._in_flight.leave()
            if isinstance(error, KafkaError | AssertionError):
                raise undelivered(record, name, error) from error
            raise
        if report is not None:
            future.add_callback(lambda _metadata: report(None))
            future.add_errback(lambda error: report(undelivered(record, name, error)))
        # Last, so that a flush which sees the room empty also sees the failure.
        future.add_both(self._in_flight.leave)
        return Pending(record, name, future)


def _connect(settings: Settings, delivery_timeout_s: float, linger_ms: int) -> Any:
    timeout_ms = round(delivery_timeout_s * 1000)
    request_ms = max(1, round(timeout_ms * _REQUEST_SHARE) - linger_ms)
    try:
        return KafkaProducer(
            **kafka_options(settings),
            enable_idempotence=True,  # retries neither repeat nor reorder records; implies acks=all
            linger_ms=linger_ms,
            request_timeout_ms=request_ms,
            delivery_timeout_ms=timeout_ms,
            max_block_ms=timeout_ms,
            metrics_enabled=False,
        )
    except (KafkaError, ValueError, AssertionError) as error:
        raise no_broker(settings.kafka_bootstrap, error) from error


def _check_arguments(max_in_flight: int, delivery_timeout_s: float, linger_ms: int) -> None:
    if max_in_flight < 1:
        raise ConfigurationError(f"max_in_flight of a publisher must be 1 or more; received {max_in_flight}.")
    if not (math.isfinite(delivery_timeout_s) and delivery_timeout_s > 0):
        raise ConfigurationError(
            f"delivery_timeout_s of a publisher must be a number of seconds above 0; received {delivery_timeout_s}."
        )
    if not 0 <= linger_ms < _REQUEST_SHARE * 1000 * delivery_timeout_s:
        raise ConfigurationError(
            "linger_ms of a publisher must be 0 or more, and less than half of the delivery timeout "
            f"({1000 * delivery_timeout_s:g} ms); received {linger_ms}."
        )
