"""What becomes of a record that was sent: confirmed by the broker, or an error that names it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kafka.errors import KafkaError

from millrace.kernel.errors import TransientError

# The budget of a record, from the call that sends it to the broker's confirmation.
DELIVERY_TIMEOUT_S = 30.0
_NAMED_FAILURES = 3


@dataclass(frozen=True, slots=True)
class Delivered:
    """Where the broker stored a record."""

    topic: str
    partition: int
    offset: int


class DeliveryError(TransientError):
    """Records that the broker did not confirm; the text names them.

    Args:
        message: One sentence.
        records: The records concerned, as given (raw records: their topic).
    """

    def __init__(self, message: str, records: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.records = tuple(records)


class Pending:
    """A record on its way, returned by the calls that do not wait.

    Args:
        record: The record, as given.
        name: What error texts call it.
        future: kafka-python's future.
    """

    def __init__(self, record: object, name: str, future: Any) -> None:
        self.record = record
        self.name = name
        self._future = future

    @property
    def done(self) -> bool:
        """Whether the broker has answered."""
        return bool(self._future.is_done)

    def result(self, timeout_s: float = DELIVERY_TIMEOUT_S) -> Delivered:
        """Wait for the broker's confirmation.

        Raises:
            DeliveryError: The record was refused, or not confirmed in time.
        """
        try:
            metadata = self._future.get(timeout_s)
        except KafkaError as error:
            raise undelivered(self.record, self.name, error) from error
        return Delivered(metadata.topic, metadata.partition, metadata.offset)


def undelivered(record: object, name: str, error: BaseException) -> DeliveryError:
    """Return the error of a record that the client or the broker refused."""
    why = " ".join(str(error).split()) or type(error).__name__
    return DeliveryError(f"{name} was not delivered: {why.rstrip('.')}.", [record])


def collect(pending: Sequence[Pending], timeout_s: float) -> tuple[list[Delivered], list[DeliveryError]]:
    """Wait for all records, each for up to `timeout_s`; return what was delivered and what failed."""
    delivered: list[Delivered] = []
    failed: list[DeliveryError] = []
    for one in pending:
        try:
            delivered.append(one.result(timeout_s))
        except DeliveryError as error:
            failed.append(error)
    return delivered, failed


def raise_joined(errors: Sequence[DeliveryError], total: int) -> None:
    """Raise several failures as one error, if there are any.

    Args:
        errors: The failures.
        total: How many records were sent, failed ones included.

    Raises:
        DeliveryError: There is a failure; `records` holds the records of all of them.
    """
    if not errors:
        return
    if len(errors) == 1:
        raise errors[0]
    named = " ".join(str(error) for error in errors[:_NAMED_FAILURES])
    records = [record for error in errors for record in error.records]
    raise DeliveryError(f"{len(errors)} of {total} records were not delivered: {named}", records)
