from pathlib import Path

import numpy as np
import pytest

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.user_state import ResolvedEvent
from millrace.model.evaluation.protocols.masked import basket_metrics, drawn_baskets, given_baskets, hidden_rows
from millrace.model.recorded_stream import RecordedStream
from millrace.streams.catalogue import Catalogue

ITEMS = 40


def recorded(users: int = 6) -> RecordedStream:
    catalogue = Catalogue()
    for index in range(1, ITEMS + 1):
        catalogue.upsert(index, CatalogueItem(item_id=f"i{index}"))
    rng = np.random.default_rng(0)
    events = [
        ResolvedEvent(f"{user}-{item}", f"u{user}", int(item), 4.0, 1000 * place)
        for user in range(users)
        for place, item in enumerate(rng.choice(np.arange(1, ITEMS + 1), 10 if user else 3, replace=False))
    ]
    return RecordedStream(events, catalogue)


def test_a_share_of_each_large_enough_basket_is_hidden_and_the_seed_decides_which() -> None:
    events = list(recorded().events)
    hidden = hidden_rows(events, 0.2, seed=1)
    assert set(hidden) == {f"u{user}" for user in range(1, 6)}
    assert all(len(rows) == 2 for rows in hidden.values())
    assert all(events[row].user_id == user for user, rows in hidden.items() for row in rows)
    assert hidden == hidden_rows(events, 0.2, seed=1)
    assert hidden != hidden_rows(events, 0.2, seed=2)


def test_every_event_on_a_hidden_item_is_hidden() -> None:
    events = list(recorded().events)
    again = [
        *events,
        *(ResolvedEvent(f"again-{event.event_id}", event.user_id, event.item, 3.0, 0) for event in events),
    ]
    for user, rows in hidden_rows(again, 0.2, seed=1).items():
        items = {again[row].item for row in rows}
        assert {row for row, event in enumerate(again) if event.user_id == user and event.item in items} == set(rows)


def test_drawn_candidates_are_the_hidden_items_and_untouched_ones() -> None:
    stream = recorded()
    events = list(stream.events)
    for basket in drawn_baskets(events, hidden_rows(events, 0.2, 1), stream.catalogue.available, 8, seed=1):
        touched = {event.item for event in events if event.user_id == basket.user_id}
        assert len(basket.given) == 10
        assert set(basket.hidden.tolist()) <= set(basket.given.tolist())
        assert not (set(basket.given.tolist()) - set(basket.hidden.tolist())) & touched
        assert basket.given.tolist() == sorted(basket.given.tolist())  # the order tells nothing


def test_candidates_come_from_a_file(tmp_path: Path) -> None:
    stream = recorded()
    events = list(stream.events)
    path = tmp_path / "candidates.txt"
    path.write_text("u1 i7\nu1 i3\nu1 unknown\nu9 i3\nu0 i3\n")
    (basket,) = given_baskets(path, stream, events, hidden_rows(events, 0.2, 1))
    assert (basket.user_id, basket.given.tolist()) == ("u1", [3, 7])
    path.write_text("u9 i3\n")
    with pytest.raises(ConfigurationError, match="name no user"):
        given_baskets(path, stream, events, hidden_rows(events, 0.2, 1))


def test_metrics_of_a_basket_are_those_of_their_definitions() -> None:
    listed, hidden = np.arange(1, 11, dtype=np.int32), np.array([1, 4, 99], np.int32)
    recall, precision, hit, ndcg = basket_metrics(listed, hidden)
    assert recall == pytest.approx(2 / 3)
    assert precision == pytest.approx(0.2)
    assert hit == 1.0
    best = 1.0 + 1.0 / np.log2(3) + 1.0 / np.log2(4)
    assert ndcg == pytest.approx((1.0 + 1.0 / np.log2(5)) / best)
    assert basket_metrics(listed[:3], np.array([50], np.int32)) == (0.0, 0.0, 0.0, 0.0)
