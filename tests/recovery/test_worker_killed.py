"""A worker killed before each of its steps loses nothing and repeats nothing in the state."""

import json
from collections import defaultdict
from pathlib import Path

import pytest
from recovery_harness import DEADLINE_S, KILLED, Published, Role, Stores, publish_events, read_topic, wait_until

from millrace.config import Settings
from streams.worker.crash import VARIABLE

EVENTS = 200
# More than any user touches.
ITEMS = 60
LIST_LENGTH = 10

# Before steps 1 to 7, and after the last one, before the events are acknowledged to Faust.
STEPS = ("decode", "read", "plan", "commit", "lists", "publish", "finish", "ack")


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_nothing_is_lost_or_applied_twice(step: str, bare_settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    published = publish_events(bare_settings, EVENTS)
    stores = Stores(bare_settings)
    stores.seed_items(ITEMS)
    with Role("worker", bare_settings, log, **{VARIABLE: f"{step}:4"}) as worker:
        assert worker.process.wait(DEADLINE_S) == KILLED, log.read_text()[-4000:]
    assert not stores.done("worker", published.ends)
    with Role("worker", bare_settings, log) as worker:
        wait_until(lambda: stores.done("worker", published.ends), "everything is done", log)
        assert worker.stop() == 0
    check_state(stores, published)
    check_lists(bare_settings, published)


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
