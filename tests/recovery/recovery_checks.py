"""What has to hold whatever happened to the workers."""

import json
from collections import defaultdict

from recovery_harness import Published, Stores, read_topic

from millrace.kernel.settings import Settings

# More than any user touches.
ITEMS = 60
LIST_LENGTH = 10


def check_state(stores: Stores, published: Published) -> None:
    """Every event id is applied once, in order; counters and grades agree."""
    expected = published.expected()
    names = stores.item_ids()
    for user, state in stores.users(list(expected)).items():
        assert (state.count, state.value_sum, [names[item] for item in state.touched.tolist()]) == expected[user]
        assert state.served is not None
        assert not set(state.served.items) & set(state.touched.tolist())
    counters = stores.counters()
    applied = sum(count for count, _, _ in expected.values())
    assert counters["events_applied"] == applied
    assert counters["duplicates"] == len(published.events) - applied > 0
    assert counters["recommendations"] == len(published.events)
    assert counters["dead:invalid_json"] == published.broken > 0
    assert stores.live_events() == sum(len(touched) for _, _, touched in expected.values())


def check_lists(settings: Settings, published: Published) -> None:
    """Every event is answered; a list published twice carries the same id; no list holds what was touched before."""
    lists = defaultdict(list)
    for record in read_topic(settings, settings.topics.recommendations):
        value = json.loads(record.value())
        lists[value["source_partition"], value["source_offset"]].append(value)
    assert lists.keys() == published.events.keys()
    touched: defaultdict[str, set[str]] = defaultdict(set)
    for place, event in sorted(published.events.items()):
        touched[event["user_id"]].add(event["item_id"])
        assert len({value["recommendation_id"] for value in lists[place]}) == 1
        for value in lists[place]:
            assert (value["user_id"], value["event_id"]) == (event["user_id"], event["event_id"])
            assert len(value["items"]) == LIST_LENGTH
            assert not {item["item_id"] for item in value["items"]} & touched[event["user_id"]]
    letters = read_topic(settings, settings.topics.dead_letters)
    assert {(letter.value(), dict(letter.headers())["millrace-reason"]) for letter in letters} == {
        (b'{"event_id": 3', b"invalid_json")
    }
    places = {
        (dict(letter.headers())["millrace-partition"], dict(letter.headers())["millrace-offset"]) for letter in letters
    }
    assert len(places) == published.broken
