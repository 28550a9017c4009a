"""Turns the bytes of a record into a contract, or says why they are not one.

Every reader of `events` (worker, keeper, log writer) calls the same function with the same policy, and the verdict
depends on the record alone, never on the reader's clock: so all of them agree on which records are poison.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from millrace.kernel.contracts.event import MAX_RATING, MIN_RATING, RATING, ActivityEvent
from millrace.kernel.contracts.item import CatalogueItem
from millrace.kernel.errors import PoisonError, Reason

DEFAULT_IMPLIED_VALUES: Mapping[str, float] = {
    "view": 3.0,
    "click": 3.0,
    "like": 4.5,
    "dislike": 1.0,
    "purchase": 5.0,
}
# The training weight of a type, relative to a rating. A dislike has none: it must not lead others to the item.
DEFAULT_EVENT_WEIGHTS: Mapping[str, float] = {
    "rating": 1.0,
    "view": 0.3,
    "click": 0.5,
    "like": 1.0,
    "dislike": 0.0,
    "purchase": 1.5,
}
_UNNAMED_WEIGHT = 1.0
_Model = TypeVar("_Model", bound=BaseModel)
_SHOWN_CHARS = 60
_ID_FIELDS = frozenset({"event_id", "user_id", "item_id"})


@dataclass(frozen=True, slots=True)
class EventPolicy:
    """What this installation accepts.

    Args:
        implied_values: Event types besides `rating`, each with the value (0.5 to 5.0) it stands for.
        max_record_bytes: Larger records are poison.
        max_future_ms: How far an event's time may lie after its record's timestamp, in milliseconds (clocks differ).
        event_weights: Training weight of each event type relative to a rating, 0 or more; 1 for types not listed.
    """

    implied_values: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_IMPLIED_VALUES))
    max_record_bytes: int = 65_536
    max_future_ms: int = 300_000
    event_weights: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_EVENT_WEIGHTS))

    def value_of(self, event: ActivityEvent) -> float:
        """Return the event's own value, or the one its type implies."""
        return event.value if event.value is not None else self.implied_values[event.type]

    def weight_of(self, event: ActivityEvent) -> float:
        """Return the event's training weight: 1 counts as much as a rating, 0 not at all."""
        return self.event_weights.get(event.type, _UNNAMED_WEIGHT)


def decode_event(
    value: bytes | None, record_timestamp_ms: int, policy: EventPolicy, key: bytes | None = None
) -> ActivityEvent:
    """Validate one record of the topic `events`.

    Args:
        value: The record's value.
        record_timestamp_ms: The record's own timestamp, which bounds the event's time from above.
        policy: What this installation accepts.
        key: The record's key; when present it has to be the user's id, since it decides the partition.

    Raises:
        PoisonError: The record can never be used; carries the reason.
    """
    event = _parse(ActivityEvent, value, policy.max_record_bytes)
    _check_type_and_value(event, policy)
    _check_time(event.ts_ms, record_timestamp_ms, policy.max_future_ms)
    if key is not None and key != event.user_id.encode():
        raise PoisonError(
            Reason.KEY_MISMATCH,
            f"The record key {_shown(key)} is not the event's user_id {_shown(event.user_id)}.",
        )
    return event


def decode_item(value: bytes | None, policy: EventPolicy) -> CatalogueItem:
    """Validate one record of the topic `items`.

    Raises:
        PoisonError: The record can never be used; carries the reason.
    """
    return _parse(CatalogueItem, value, policy.max_record_bytes)


def _parse(model: type[_Model], value: bytes | None, max_bytes: int) -> _Model:
    if not value:
        raise PoisonError(Reason.EMPTY_VALUE, "The record has no value.")
    if len(value) > max_bytes:
        raise PoisonError(Reason.TOO_LARGE, f"The record has {len(value)} bytes; at most {max_bytes} are accepted.")
    try:
        return model.model_validate_json(value)
    except ValidationError as error:
        raise _poison(error) from None


def _check_type_and_value(event: ActivityEvent, policy: EventPolicy) -> None:
    if event.type != RATING and event.type not in policy.implied_values:
        known = ", ".join(sorted([RATING, *policy.implied_values]))
        raise PoisonError(
            Reason.UNKNOWN_EVENT_TYPE,
            f"The event type {_shown(event.type)} is not configured; known are {known}.",
        )
    if event.value is None:
        if event.type == RATING:
            raise PoisonError(Reason.MISSING_FIELD, "The field value is missing; a rating needs one.")
    elif not MIN_RATING <= event.value <= MAX_RATING:
        raise PoisonError(
            Reason.VALUE_OUT_OF_RANGE, f"The value {event.value} is outside {MIN_RATING} to {MAX_RATING}."
        )


def _check_time(ts_ms: int, record_timestamp_ms: int, max_future_ms: int) -> None:
    if ts_ms < 0:
        raise PoisonError(Reason.TIMESTAMP_OUT_OF_RANGE, f"The time ts_ms={ts_ms} lies before 1970.")
    if ts_ms > record_timestamp_ms + max_future_ms:
        raise PoisonError(
            Reason.TIMESTAMP_OUT_OF_RANGE,
            f"The time ts_ms={ts_ms} lies {ts_ms - record_timestamp_ms} ms after the record was written; "
            f"at most {max_future_ms} ms are believed.",
        )


def _poison(error: ValidationError) -> PoisonError:
    first = error.errors(include_url=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"]) or "record"
    reason = _reason(str(first["type"]), name)
    if reason is Reason.MISSING_FIELD:
        return PoisonError(reason, f"The field {name} is missing.")
    return PoisonError(reason, f"The field {name} is unusable ({first['msg']}); received {_shown(first['input'])}.")


def _reason(kind: str, name: str) -> Reason:
    if kind == "json_invalid":
        return Reason.INVALID_JSON
    if kind == "missing":
        return Reason.MISSING_FIELD
    if name in _ID_FIELDS and kind in {"string_too_short", "string_too_long"}:
        return Reason.INVALID_ID
    if kind in {"finite_number", "greater_than_equal", "less_than_equal", "too_long", "string_too_long"}:
        return Reason.VALUE_OUT_OF_RANGE
    return Reason.WRONG_TYPE


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}... ({len(text)} characters)"
