import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.kernel.contracts import ActivityEvent, EventPolicy, decode_event, decode_item
from millrace.kernel.errors import PoisonError, Reason

NOW_MS = 1_767_225_600_000
POLICY = EventPolicy()
GOOD: dict[str, Any] = {
    "event_id": "e1",
    "user_id": "7",
    "item_id": "318",
    "type": "rating",
    "value": 4.5,
    "ts_ms": NOW_MS,
}


def encode(**changes: Any) -> bytes:
    """Return a good event with changes; None removes a field."""
    return json.dumps({name: value for name, value in {**GOOD, **changes}.items() if value is not None}).encode()


def reason_of(value: bytes | None, key: bytes | None = None, policy: EventPolicy = POLICY) -> Reason:
    with pytest.raises(PoisonError) as caught:
        decode_event(value, NOW_MS, policy, key)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    return caught.value.reason


def test_a_good_event() -> None:
    assert decode_event(encode(), NOW_MS, POLICY, b"7") == ActivityEvent(**GOOD)


def test_unknown_fields_are_ignored() -> None:
    assert decode_event(encode(colour="red"), NOW_MS, POLICY) == ActivityEvent(**GOOD)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.EMPTY_VALUE),
        (b"", Reason.EMPTY_VALUE),
        (b'{"event_id": ', Reason.INVALID_JSON),
        (b"\xff\xfe", Reason.INVALID_JSON),
        (b"[]", Reason.WRONG_TYPE),
        (b"null", Reason.WRONG_TYPE),
        (b"3", Reason.WRONG_TYPE),
        (encode(user_id=None), Reason.MISSING_FIELD),
        (encode(item_id=None), Reason.MISSING_FIELD),
        (encode(event_id=None), Reason.MISSING_FIELD),
        (encode(ts_ms=None), Reason.MISSING_FIELD),
        (encode(value=None), Reason.MISSING_FIELD),
        (encode(value="4.5"), Reason.WRONG_TYPE),
        (encode(user_id=7), Reason.WRONG_TYPE),
        (encode(ts_ms=1.5), Reason.WRONG_TYPE),
        (encode(ts_ms=True), Reason.WRONG_TYPE),
        (encode(context={"a": 1}), Reason.WRONG_TYPE),
        (encode(value=0), Reason.VALUE_OUT_OF_RANGE),
        (encode(value=0.49), Reason.VALUE_OUT_OF_RANGE),
        (encode(value=11), Reason.VALUE_OUT_OF_RANGE),
        (encode(value=1e308), Reason.VALUE_OUT_OF_RANGE),
        (encode(type="view", value=-3), Reason.VALUE_OUT_OF_RANGE),
        (encode(user_id=""), Reason.INVALID_ID),
        (encode(user_id="u" * 129), Reason.INVALID_ID),
        (encode(item_id="i" * 10_000), Reason.INVALID_ID),
        (encode(event_id="e" * 65), Reason.INVALID_ID),
        (encode(type="telepathy"), Reason.UNKNOWN_EVENT_TYPE),
        (encode(ts_ms=-1), Reason.TIMESTAMP_OUT_OF_RANGE),
        (encode(ts_ms=NOW_MS + POLICY.max_future_ms + 1), Reason.TIMESTAMP_OUT_OF_RANGE),
        (encode(ts_ms=10**18), Reason.TIMESTAMP_OUT_OF_RANGE),
        (encode(context={"x": "y" * 2_000_000}), Reason.TOO_LARGE),
    ],
)
def test_broken_events_carry_their_reason(value: bytes | None, reason: Reason) -> None:
    assert reason_of(value) is reason


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_refused(number: float) -> None:
    assert reason_of(encode(value=number)) in {Reason.INVALID_JSON, Reason.VALUE_OUT_OF_RANGE}


@pytest.mark.parametrize("value", [0.5, 5.0, 3])
def test_bounds_of_a_rating_belong_to_it(value: float) -> None:
    assert decode_event(encode(value=value), NOW_MS, POLICY).value == value


@pytest.mark.parametrize("ts_ms", [0, NOW_MS + POLICY.max_future_ms])
def test_bounds_of_time_belong_to_it(ts_ms: int) -> None:
    assert decode_event(encode(ts_ms=ts_ms), NOW_MS, POLICY).ts_ms == ts_ms


def test_the_key_has_to_be_the_user() -> None:
    assert reason_of(encode(), key=b"8") is Reason.KEY_MISMATCH


def test_the_verdict_depends_on_the_records_time_not_on_the_clock() -> None:
    late = encode(ts_ms=NOW_MS + 10 * POLICY.max_future_ms)
    assert reason_of(late) is Reason.TIMESTAMP_OUT_OF_RANGE
    assert decode_event(late, NOW_MS + 10 * POLICY.max_future_ms, POLICY)


def test_the_size_limit_is_the_policys() -> None:
    value = encode()
    assert decode_event(value, NOW_MS, EventPolicy(max_record_bytes=len(value)))
    assert reason_of(value, policy=EventPolicy(max_record_bytes=len(value) - 1)) is Reason.TOO_LARGE


def test_implied_values() -> None:
    policy = EventPolicy(implied_values={"wish": 4.0})
    event = decode_event(encode(type="wish", value=None), NOW_MS, policy)
    assert policy.value_of(event) == 4.0
    assert policy.value_of(decode_event(encode(type="wish", value=2.0), NOW_MS, policy)) == 2.0
    assert reason_of(encode(type="view", value=None), policy=policy) is Reason.UNKNOWN_EVENT_TYPE


@given(st.binary(max_size=300))
def test_any_bytes_are_an_event_or_poison(value: bytes) -> None:
    with contextlib.suppress(PoisonError):
        assert isinstance(decode_event(value, NOW_MS, POLICY), ActivityEvent)


_JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers())


@given(st.dictionaries(st.sampled_from([*GOOD, "context"]), _JSON))
def test_any_json_object_is_an_event_or_poison(fields: dict[str, Any]) -> None:
    try:
        event = decode_event(json.dumps({**GOOD, **fields}).encode(), NOW_MS, POLICY)
    except PoisonError:
        return
    assert 0.5 <= POLICY.value_of(event) <= 5.0
    assert 0 <= event.ts_ms <= NOW_MS + POLICY.max_future_ms


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", Reason.EMPTY_VALUE),
        (b"{", Reason.INVALID_JSON),
        (b"{}", Reason.MISSING_FIELD),
        (b'{"item_id": ""}', Reason.INVALID_ID),
        (b'{"item_id": "1", "year": "1995"}', Reason.WRONG_TYPE),
        (b'{"item_id": "1", "year": 12}', Reason.VALUE_OUT_OF_RANGE),
        (b'{"item_id": "1", "genres": "Drama"}', Reason.WRONG_TYPE),
        (b'{"item_id": "1", "available": 1}', Reason.WRONG_TYPE),
        (b'{"item_id": "1", "attributes": {"a": {}}}', Reason.WRONG_TYPE),
        (b'{"item_id": "1", "attributes": {"ean": 123456789012345678901}}', Reason.VALUE_OUT_OF_RANGE),
        (b'{"item_id": "1", "attributes": {"ean": -9223372036854775809}}', Reason.VALUE_OUT_OF_RANGE),
        (b'{"item_id": "1", "title": "' + b"t" * 70_000 + b'"}', Reason.TOO_LARGE),
        (b'{"item_id": "1", "title": "' + b"t" * 1_001 + b'"}', Reason.VALUE_OUT_OF_RANGE),
    ],
)
def test_broken_items_carry_their_reason(value: bytes, reason: Reason) -> None:
    with pytest.raises(PoisonError) as caught:
        decode_item(value, POLICY)
    assert caught.value.reason is reason


def test_an_item_needs_only_its_id() -> None:
    item = decode_item(b'{"item_id": "1"}', POLICY)
    assert (item.title, item.genres, item.year, item.available) == ("", (), None, True)
