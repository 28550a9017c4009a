"""What a publisher cannot work with is refused before it connects."""

from typing import Any

import pytest

from millrace import ActivityEvent, ActivityPublisher, CatalogueItem, InvalidRecordError, make_event
from millrace.kernel.contracts import EventPolicy
from millrace.kernel.errors import ConfigurationError
from millrace.producers.records import encode_event, encode_item


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"max_in_flight": 0}, "max_in_flight of a publisher must be 1 or more; received 0"),
        ({"delivery_timeout_s": 0.0}, "must be a number of seconds above 0; received 0.0"),
        ({"delivery_timeout_s": float("nan")}, "must be a number of seconds above 0; received nan"),
        ({"linger_ms": -1}, "linger_ms of a publisher must be 0 or more"),
        ({"linger_ms": 500, "delivery_timeout_s": 1.0}, r"less than half of the delivery timeout \(1000 ms\)"),
    ],
)
def test_an_argument_out_of_range_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        ActivityPublisher(**arguments)


def test_a_view_needs_no_value() -> None:
    event = make_event("ada", "sku-1", type="view")
    assert (event.type, event.value) == ("view", None)
    key, value = encode_event(event, EventPolicy())
    assert key == b"ada"
    assert ActivityEvent.model_validate_json(value) == event


@pytest.mark.parametrize("type_", ["view", "click", "like", "dislike", "purchase"])
def test_every_default_type_can_be_sent(type_: str) -> None:
    assert encode_event(make_event("ada", "sku-1", type=type_), EventPolicy())


def test_an_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(InvalidRecordError, match="'viewed' is not configured; known are click, dislike, like"):
        encode_event(make_event("ada", "sku-1", type="viewed"), EventPolicy())


@pytest.mark.parametrize("record", [{"user_id": "ada"}, "ada", None, CatalogueItem(item_id="a")])
def test_what_is_no_event_is_refused(record: Any) -> None:
    with pytest.raises(InvalidRecordError, match=r"the class ActivityEvent \(make_event"):
        encode_event(record, EventPolicy())


def test_what_is_no_item_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match=r"the class CatalogueItem \(CatalogueItem\(item_id="):
        encode_item(make_event("ada", "sku-1", type="view"), EventPolicy())  # type: ignore[arg-type]
