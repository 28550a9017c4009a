"""From contracts to record bytes; what a reader would refuse is refused here, with the text of its dead letter."""

import time
import uuid
from typing import Any

from pydantic import ValidationError

from millrace.kernel.contracts import ActivityEvent, CatalogueItem, EventPolicy, decode_event, decode_item
from millrace.kernel.contracts.event import RATING
from millrace.kernel.errors import PoisonError, Reason

_SHOWN_CHARS = 80


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def make_event(
    user_id: str,
    item_id: str,
    value: float | None = None,
    type: str = RATING,  # noqa: A002 - the contract's name of the field
    ts_ms: int | None = None,
    event_id: str | None = None,
    context: dict[str, str] | None = None,
) -> ActivityEvent:
    """Return an event, by default a rating that happened now.

    Args:
        user_id: Who acted; 1 to 128 characters.
        item_id: What was acted on; 1 to 128 characters.
        value: 0.5 to 5.0; a rating needs one, every other type has an implied value.
        type: `rating`, `view`, `click`, `like`, `dislike`, `purchase` or a type that the installation configures.
        ts_ms: When, in milliseconds since 1970; now when left out.
        event_id: Makes sending the event again harmless; a random one when left out.
        context: A flat map that is kept in the event log.

    Raises:
        InvalidRecordError: A field breaks the contract.
    """
    fields: dict[str, Any] = {
        "event_id": uuid.uuid4().hex if event_id is None else event_id,
        "user_id": user_id,
        "item_id": item_id,
        "type": type,
        "value": value,
        "ts_ms": now_ms() if ts_ms is None else ts_ms,
        "context": context,
    }
    try:
        return ActivityEvent.model_validate(fields)
    except ValidationError as error:
        raise _refused(error, f"The event for user {_shown(user_id)} and item {_shown(item_id)}") from None


def encode_event(event: ActivityEvent, policy: EventPolicy) -> tuple[bytes, bytes]:
    """Return key and value of a record that every reader of the topic accepts.

    Raises:
        InvalidRecordError: A reader would dead-letter it.
    """
    _check_kind(event, ActivityEvent, "make_event(user_id, item_id, type=...) makes one")
    key, value = event.user_id.encode(), event.model_dump_json(exclude_none=True).encode()
    try:
        # The readers' check on the same bytes: this side cannot be more lenient.
        decode_event(value, now_ms(), policy, key)
    except PoisonError as error:
        raise InvalidRecordError(error.reason, f"{name_of(event)} cannot be sent: {error}") from None
    return key, value


def encode_item(item: CatalogueItem, policy: EventPolicy) -> tuple[bytes, bytes]:
    """Return key and value of a record that every reader of the topic accepts.

    Raises:
        InvalidRecordError: A reader would dead-letter it.
    """
    _check_kind(item, CatalogueItem, "CatalogueItem(item_id=..., title=...) makes one")
    key, value = item.item_id.encode(), item.model_dump_json(exclude_none=True).encode()
    try:
        decode_item(value, policy)
    except PoisonError as error:
        raise InvalidRecordError(error.reason, f"{name_of(item)} cannot be sent: {error}") from None
    return key, value


class InvalidRecordError(PoisonError, ValueError):
    """The record breaks its contract and was not sent; the text names the record, the field and the rule."""


def name_of(record: ActivityEvent | CatalogueItem) -> str:
    """Return how messages call a record."""
    if isinstance(record, CatalogueItem):
        return f"The item {_shown(record.item_id)}"
    return f"The event {_shown(record.event_id)} (user {_shown(record.user_id)}, item {_shown(record.item_id)})"


def _check_kind(record: object, kind: type, how: str) -> None:
    if not isinstance(record, kind):
        raise InvalidRecordError(
            Reason.WRONG_TYPE, f"This takes objects of the class {kind.__name__} ({how}); received {_shown(record)}."
        )


def _refused(error: ValidationError, name: str) -> InvalidRecordError:
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    reason = Reason.INVALID_ID if field.endswith("_id") else Reason.VALUE_OUT_OF_RANGE
    if first["type"].endswith("_type"):
        reason = Reason.WRONG_TYPE
    return InvalidRecordError(reason, f"{name} is unusable: {field}={_shown(first['input'])} ({first['msg']}).")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}... ({len(text)} characters)"
