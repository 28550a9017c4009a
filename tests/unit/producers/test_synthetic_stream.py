import pytest

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.errors import ConfigurationError
from millrace.producers.synthetic import SyntheticOptions, SyntheticStream, parse_synthetic

OPTIONS = SyntheticOptions(users=50, items=400, events=5_000, seed=3)


def test_the_same_seed_makes_the_same_stream() -> None:
    stream = SyntheticStream(OPTIONS)
    first = list(stream.events())
    assert first == list(stream.events()) == list(SyntheticStream(OPTIONS).events())
    assert first != list(SyntheticStream(SyntheticOptions(50, 400, 5_000, seed=4)).events())


def test_time_order_and_ids() -> None:
    events = list(SyntheticStream(OPTIONS).events())
    assert len(events) == 5_000
    assert [event.ts_ms for event in events] == sorted(event.ts_ms for event in events)
    assert len({event.event_id for event in events}) == 5_000


def test_no_event_names_an_item_before_it_arrives() -> None:
    stream = SyntheticStream(OPTIONS)
    known = {item.item_id for item in stream.items}
    early = len(known)
    arrivals: list[CatalogueItem] = []
    for event in stream.events(arrivals.append):
        known.update(item.item_id for item in arrivals)
        assert event.item_id in known
    assert early == 360
    assert {item.item_id for item in arrivals} & {e.item_id for e in stream.events()}


def test_users_have_tastes_and_popularity_a_long_tail() -> None:
    stream = SyntheticStream(OPTIONS)
    genre = {item.item_id: item.genres[0] for item in stream.items}
    events = [event for event in stream.events() if event.item_id in genre]
    busiest = max({e.user_id for e in events}, key=lambda user: sum(e.user_id == user for e in events))
    genres = [genre[e.item_id] for e in events if e.user_id == busiest]
    assert max(genres.count(one) for one in set(genres)) > 2 * len(genres) / 12
    counts = sorted((sum(e.item_id == item for e in events) for item in genre), reverse=True)
    assert sum(counts[:36]) > 0.2 * len(events)


def test_sizes_are_read() -> None:
    assert parse_synthetic("users=2,items=30,events=4,seed=0") == SyntheticOptions(2, 30, 4, 0)
    assert parse_synthetic("") == SyntheticOptions()


@pytest.mark.parametrize("text", ["users=0", "users=x", "films=3", "users", "users=-1", "events=1.5"])
def test_unusable_sizes_are_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="of the sizes is unusable"):
        parse_synthetic(text)


@pytest.mark.parametrize("items", [1, 2, 11])
def test_tiny_catalogues_work(items: int) -> None:
    assert len(list(SyntheticStream(SyntheticOptions(users=2, items=items, events=50)).events())) == 50
