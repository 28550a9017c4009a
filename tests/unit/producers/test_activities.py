"""Activities made from ratings: the same ones every time, and a whole stream of them through the learner."""

from collections import Counter
from pathlib import Path

import pytest

from millrace.kernel.contracts import ActivityEvent, EventPolicy
from millrace.kernel.contracts.event import RATING
from millrace.kernel.user_state import ResolvedEvent
from millrace.producers.activities import as_activities
from millrace.producers.movielens import load_movielens
from millrace.producers.sources import ActivitySource, MovieLensSource, open_source
from millrace.streams.keeper.learner import Lesson, StatisticsLearner
from millrace.streams.statistics import ItemStatistics

FOLDER = Path("data/ml-latest-small")


def rating(value: float, number: int = 1) -> ActivityEvent:
    return ActivityEvent(
        event_id=f"e{number}", user_id="u", item_id=f"i{number}", type=RATING, value=value, ts_ms=1000 * number
    )


@pytest.mark.parametrize(
    ("value", "kinds"),
    [(0.5, ["view", "dislike"]), (1.5, ["view", "dislike"]), (3.5, ["view"]), (4.0, ["view", "like"])],
)
def test_a_rating_becomes_a_view_and_what_it_came_to(value: float, kinds: list[str]) -> None:
    made = list(as_activities([rating(value)]))
    assert [event.type for event in made] == kinds
    assert all(event.value is None and event.item_id == "i1" for event in made)
    assert len({event.event_id for event in made}) == len(made)
    assert [event.ts_ms for event in made] == sorted(event.ts_ms for event in made)


def test_half_of_the_best_ratings_are_purchases_always_the_same_ones() -> None:
    best = [rating(5.0, number) for number in range(1000)]
    bought = [event.item_id for event in as_activities(best) if event.type == "purchase"]
    assert 440 < len(bought) < 560
    assert bought == [event.item_id for event in as_activities(best) if event.type == "purchase"]


def test_a_source_of_activities_can_be_resumed_and_knows_its_length() -> None:
    source = open_source(FOLDER, None, start=0.0, stop=0.01, seed=0, as_activities=True)
    assert isinstance(source, ActivitySource)
    whole = list(source.events(0, lambda item: None))
    assert len(whole) == source.total > MovieLensSource(FOLDER, 0.0, 0.01, 0).total
    assert list(source.events(700, lambda item: None)) == whole[700:]
    assert source.identity != MovieLensSource(FOLDER, 0.0, 0.01, 0).identity


def test_a_stream_of_activities_teaches_by_type_and_a_dislike_leads_nobody_to_its_item() -> None:
    policy, learner = EventPolicy(), StatisticsLearner(ItemStatistics(64), {}, 0)
    indexes: dict[str, int] = {}
    kinds: Counter[str] = Counter()
    disliked: Counter[int] = Counter()
    events = list(as_activities(load_movielens(FOLDER).events(0.0, 0.02)))
    for offset, event in enumerate(events):
        item = indexes.setdefault(event.item_id, len(indexes) + 1)
        kinds[event.type] += 1
        disliked[item] += event.type == "dislike"
        learner.load_tails(dict.fromkeys(learner.unknown([event.user_id])))
        learner.learn([Lesson(0, offset, ResolvedEvent.of(event, item, policy))], {0: offset})
    statistics = learner.statistics
    assert set(kinds) == {"view", "like", "dislike", "purchase"}
    assert statistics.clock == len(events)
    weights = {kind: policy.event_weights[kind] for kind in kinds}
    total = sum(weights[kind] * number for kind, number in kinds.items())
    slow = statistics.decayed_totals[-1]
    # Nearly nothing has faded from the slowest decay after so few events.
    assert 0.85 * total < slow < total
    worst = max(disliked, key=lambda item: disliked[item])
    views = statistics.popularity.counts[worst] - disliked[worst]
    assert statistics.popularity.decayed[worst, -1] <= views * max(weights.values())
