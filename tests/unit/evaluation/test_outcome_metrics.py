"""The metrics against an implementation that goes through the lists one by one, in plain Python."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.kernel.user_state import UserState
from millrace.model.baselines.baseline import top_untouched
from millrace.model.evaluation.grading import grade, graded_events
from millrace.model.evaluation.outcomes import SystemOutcomes
from millrace.model.evaluation.split import Split
from millrace.model.evaluation.system import Ranking
from tests.unit.evaluation.plain_system import make_plain, small_stream

rankings = st.lists(st.permutations(range(1, 25)).map(tuple), min_size=1, max_size=20)


def plain_metrics(lists: list[tuple[int, ...]], wanted: list[int], length: int = 10) -> tuple[float, float, float]:
    """Return hit rate and NDCG at `length`, and the mean reciprocal rank, by their definitions."""
    hits = gain = reciprocal = 0.0
    for ranked, target in zip(lists, wanted, strict=True):
        for place, item in enumerate(ranked):
            relevance = 1.0 if item == target else 0.0
            reciprocal += relevance / (place + 1)
            if place < length:
                hits += relevance
                gain += relevance / math.log2(place + 2)
    ideal = 1.0  # one relevant item at the first place
    return hits / len(lists), gain / ideal / len(lists), reciprocal / len(lists)


@given(rankings, st.integers(1, 30))
def test_metrics_are_their_definitions(lists: list[tuple[int, ...]], first_target: int) -> None:
    wanted = [(first_target + 7 * place) % 30 + 1 for place in range(len(lists))]
    ranked = [Ranking(one[:10], np.array(one, np.int32)) for one in lists]
    ranks = [one.place_of(target) for one, target in zip(ranked, wanted, strict=True)]
    shown = np.array([one.shown for one in ranked], np.int32)
    outcomes = SystemOutcomes("any", np.array(ranks, np.int32), shown, np.zeros(len(ranks), np.float32))
    measured = (outcomes.hits.mean(), outcomes.gains.mean(), outcomes.reciprocal_ranks.mean())
    assert measured == pytest.approx(plain_metrics(lists, wanted))


def test_what_was_shown_counts_before_what_was_ranked() -> None:
    ranking = Ranking((5, 3), np.array([3, 9, 5, 4], np.int32))
    assert [ranking.place_of(item) for item in (5, 3, 9, 4, 8)] == [0, 1, 2, 3, -1]


def test_the_loop_agrees_with_lists_made_by_hand() -> None:
    stream = small_stream()
    split = Split.of(len(stream.events))
    system = make_plain("popularity", stream, split, None)  # type: ignore[arg-type]
    outcomes = grade(stream.events, system, split)
    counts = [0] * 61
    touched: dict[str, set[int]] = {}
    lists, wanted = [], []
    for row, event in enumerate(stream.events):
        mine = touched.setdefault(event.user_id, set())
        if row >= split.graded:
            free = [item for item in range(1, 61) if item not in mine]
            lists.append(tuple(sorted(free, key=lambda item: (-counts[item], item))[:30]))
            wanted.append(event.item)
        counts[event.item] += 1
        mine.add(event.item)
    measured = (outcomes.hits.mean(), outcomes.gains.mean(), outcomes.reciprocal_ranks.mean())
    assert measured == pytest.approx(plain_metrics(lists, wanted))
    assert outcomes.shown.tolist() == [list(one[:10]) for one in lists]
    assert len(outcomes.ranks) == len(graded_events(stream.events, split))


@given(st.lists(st.integers(0, 3), min_size=12, max_size=40), st.randoms(use_true_random=False))
def test_equal_scores_go_to_the_lower_index(scores: list[int], chance: random.Random) -> None:
    """With a rule that the target has no part in, no target can win a tie."""
    touched = np.array(sorted(chance.sample(range(1, len(scores)), 3)), np.int32)
    available = np.ones(len(scores), np.bool_)
    available[0] = False
    state = UserState("anyone", touched=touched)
    listed = top_untouched(np.array(scores, np.float64), state, available)
    free = [item for item in range(1, len(scores)) if item not in touched]
    assert listed == sorted(free, key=lambda item: (-scores[item], item))[:10]


def test_a_constant_score_hits_no_more_than_its_lowest_indexes() -> None:
    stream = small_stream(items=60)
    available = np.ones(61, np.bool_)
    available[0] = False
    hits = [event.item in top_untouched(np.zeros(61), UserState(event.user_id), available) for event in stream.events]
    assert np.mean(hits) == np.mean([event.item <= 10 for event in stream.events])
