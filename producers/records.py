"""From contracts to record bytes: what cannot be used is refused here, with the sentence a dead letter would carry."""

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
    """Return an event that happened now and has an id of its own, unless told otherwise.

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
    key, value = event.user_id.encode(), event.model_dump_json(exclude_none=True).encode()
    try:
        # The readers' own check on the very bytes, so that this side can never be more lenient.
        decode_event(value, now_ms(), policy, key)
    except PoisonError as error:
        raise InvalidRecordError(error.reason, f"{name_of(event)} cannot be sent: {error}") from None
    return key, value


def encode_item(item: CatalogueItem, policy: EventPolicy) -> tuple[bytes, bytes]:
    """Return key and value of a record that every reader of the topic accepts.

    Raises:
        InvalidRecordError: A reader would dead-letter it.
    """
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
