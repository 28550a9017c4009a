"""A keeper killed around its flush learns every event exactly once."""

from collections import Counter
from pathlib import Path

import pytest
from recovery_harness import DEADLINE_S, KILLED, Role, Stores, publish_events, wait_until

from millrace.kernel.settings import Settings
from millrace.runtime.crash import VARIABLE
from millrace.streams.statistics import ItemStatistics

EVENTS = 600


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.parametrize("point", ["decode", "learn", "flush", "flushed"])
def test_every_event_is_learned_once(point: str, bare_settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "statistics.log"
    published = publish_events(bare_settings, EVENTS)
    stores = Stores(bare_settings)
    with Role("statistics", bare_settings, log, **{VARIABLE: f"{point}:1"}) as keeper:
        assert keeper.process.wait(DEADLINE_S) == KILLED, log.read_text()[-4000:]
    more = publish_events(bare_settings, EVENTS)
    ends = {p: max(published.ends.get(p, 0), more.ends.get(p, 0)) for p in {*published.ends, *more.ends}}
    with Role("statistics", bare_settings, log) as keeper:
        wait_until(lambda: stores.done("statistics", ends), "everything is learned", log)
        assert keeper.stop() == 0
    scalars, chunks = stores.statistics()
    # The second publication repeats every event id of the first.
    expected = published.expected()
    assert int(scalars["clock"]) == sum(count for count, _, _ in expected.values())
    statistics = ItemStatistics()
    statistics.load_popularity_chunk(0, chunks[0])
    counts = Counter({item: int(number) for item, number in enumerate(statistics.popularity.counts) if number})
    names = stores.item_ids()
    seen, wanted = set(), Counter[str]()
    for _, event in sorted(published.events.items()):
        if event["event_id"] not in seen:
            seen.add(event["event_id"])
            wanted[event["item_id"]] += 1
    assert {names[item]: number for item, number in counts.items()} == dict(wanted)
