import numpy as np
import pytest
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.model.evaluation.sampled import NegativeSampler, SampledGrades

ITEMS = 30
AVAILABLE = np.ones(ITEMS + 1, np.bool_)


def touched(*items: int) -> UserState:
    return UserState("u", touched=np.array(items, np.int32))


def test_only_untouched_other_items_are_drawn_and_always_the_same() -> None:
    available = AVAILABLE.copy()
    available[30] = False
    sampler = NegativeSampler(available, 100, seed=1)
    drawn = sampler.draw(touched(1, 2, 3), 4, 7)
    assert sorted(drawn.tolist()) == list(range(5, 30))
    few = NegativeSampler(available, 5, seed=1)
    assert few.draw(touched(1), 4, 7).tolist() == few.draw(touched(1), 4, 7).tolist()
    assert few.draw(touched(1), 4, 7).tolist() != few.draw(touched(1), 4, 8).tolist()


class ByIndex:
    """Ranks items by their index; knows none above 25."""

    def rank_given(self, state: UserState, now_ms: int, items: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.sort(items[items <= 25])


def test_figures_follow_from_the_places_among_the_negatives() -> None:
    grades = SampledGrades(NegativeSampler(AVAILABLE, 100))
    for number, target in enumerate([1, 2, 28]):  # all other items are negatives; 28 is not ranked: last of 30
        grades.add(ByIndex(), touched(), 0, target, number)
    figures = grades.figures()
    assert figures["events_graded"] == 3
    assert figures["sampled_hit_rate_at_10"] == pytest.approx(2 / 3)
    assert figures["sampled_ndcg_at_10"] == pytest.approx((1.0 + 1.0 / np.log2(3.0)) / 3)
    assert figures["sampled_mrr"] == pytest.approx((1.0 + 0.5 + 1 / 30) / 3)
    assert "sampled" in str(figures["remark"])


def test_nothing_graded_gives_zeros() -> None:
    assert SampledGrades(NegativeSampler(AVAILABLE, 5)).figures()["sampled_mrr"] == 0.0
