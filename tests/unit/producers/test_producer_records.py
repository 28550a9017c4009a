import math
from pathlib import Path

import pytest

from millrace.kernel.contracts import ActivityEvent, CatalogueItem, EventPolicy, decode_event, decode_item
from millrace.kernel.errors import ConfigurationError, PoisonError, Reason
from millrace.producers.lag import lag_behind
from millrace.producers.records import InvalidRecordError, encode_event, encode_item, make_event, now_ms
from millrace.producers.sources import ReplayState, open_source

POLICY = EventPolicy()


def test_an_encoded_event_is_what_readers_decode() -> None:
    event = make_event("7", "318", 4.5, context={"device": "phone"})
    key, value = encode_event(event, POLICY)
    assert key == b"7"
    assert decode_event(value, now_ms(), POLICY, key) == event


def test_an_encoded_item_is_what_readers_decode() -> None:
    item = CatalogueItem(item_id="1", title="Amélie", genres=("Comedy",), year=2001, attributes={"minutes": 122})
    key, value = encode_item(item, POLICY)
    assert key == b"1"
    assert decode_item(value, POLICY) == item


def test_ids_are_made_up_and_differ() -> None:
    assert make_event("7", "1", 3.0).event_id != make_event("7", "1", 3.0).event_id


@pytest.mark.parametrize(
    ("fields", "reason", "named"),
    [
        ({"value": math.nan}, Reason.VALUE_OUT_OF_RANGE, "value=nan"),
        ({"user_id": ""}, Reason.INVALID_ID, "user_id=''"),
        ({"item_id": "i" * 10_000}, Reason.INVALID_ID, "10002 characters"),
        ({"item_id": 5}, Reason.WRONG_TYPE, "item_id=5"),
        ({"event_id": ""}, Reason.INVALID_ID, "event_id=''"),
    ],
)
def test_an_impossible_event_is_a_value_error_that_names_the_field(
    fields: dict[str, object], reason: Reason, named: str
) -> None:
    with pytest.raises(ValueError, match="is unusable") as caught:
        make_event(**{"user_id": "7", "item_id": "1", "value": 3.0, **fields})  # type: ignore[arg-type]
    assert isinstance(caught.value, PoisonError)
    assert caught.value.reason is reason
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"value": 11.0}, Reason.VALUE_OUT_OF_RANGE),
        ({"type": "telepathy"}, Reason.UNKNOWN_EVENT_TYPE),
        ({"ts_ms": -1}, Reason.TIMESTAMP_OUT_OF_RANGE),
        ({"ts_ms": 10**15}, Reason.TIMESTAMP_OUT_OF_RANGE),
        ({"context": {"x": "y" * 2_000_000}}, Reason.TOO_LARGE),
    ],
)
def test_what_a_reader_would_refuse_is_not_encoded(fields: dict[str, object], reason: Reason) -> None:
    good = {"event_id": "e-77", "user_id": "7", "item_id": "1", "type": "rating", "value": 3.0, "ts_ms": 5}
    with pytest.raises(InvalidRecordError, match="'e-77'.*cannot be sent") as caught:
        encode_event(ActivityEvent.model_validate({**good, **fields}), POLICY)
    assert caught.value.reason is reason


def test_lag() -> None:
    assert lag_behind({0: 10, 1: 5}, {0: 7, 1: None}) == 8
    assert lag_behind({0: 10}, {0: 10}) == 0
    assert lag_behind({0: 10}, {0: None}) is None
    assert lag_behind({0: 10}, {0: 12}) == 0


def test_a_replay_is_resumed_where_it_was_left(tmp_path: Path) -> None:
    source = open_source(None, "users=5,items=20,events=30", start=0, stop=1, seed=0)
    state = source.state(tmp_path)
    with pytest.raises(ConfigurationError, match="no interrupted replay"):
        state.read()
    state.write(12)
    whole = list(source.events(0, lambda item: None))
    again = open_source(None, "users=5,items=20,events=30", start=0, stop=1, seed=0)
    assert list(again.events(again.state(tmp_path).read(), lambda item: None)) == whole[12:]
    state.clear()
    with pytest.raises(ConfigurationError, match="no interrupted replay"):
        state.read()


def test_another_replay_has_another_state(tmp_path: Path) -> None:
    paths: set[Path] = {
        open_source(None, text, start=0, stop=1, seed=0).state(tmp_path).path
        for text in ("users=5,seed=0", "users=5,seed=1", "users=6")
    }
    assert len(paths) == 3
    assert isinstance(ReplayState(tmp_path / "x.json").path, Path)


@pytest.mark.parametrize(("path", "synthetic"), [(None, None), (Path("x"), "users=1")])
def test_a_replay_has_one_source(path: Path | None, synthetic: str | None) -> None:
    with pytest.raises(ConfigurationError, match="either the path"):
        open_source(path, synthetic, start=0, stop=1, seed=0)
