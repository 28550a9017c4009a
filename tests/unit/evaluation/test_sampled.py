import numpy as np
import pytest

from model.evaluation.sampled import NegativeSampler, SampledGrades, sampled_place
from model.evaluation.system import Ranking
from streams.users import UserState

ITEMS = 30
AVAILABLE = np.ones(ITEMS + 1, np.bool_)


def ranking(*items: int) -> Ranking:
    return Ranking(items[:2], np.array(items, np.int32))


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


@pytest.mark.parametrize(
    ("target", "negatives", "place"),
    [
        (9, [5, 8, 20], 2),  # ranked 5, 8 above it; 20 is not ranked
        (5, [9, 8], 0),
        (25, [5, 26], 2),  # an unranked target comes last, behind unranked negatives too
    ],
)
def test_the_place_counts_the_negatives_above(target: int, negatives: list[int], place: int) -> None:
    assert sampled_place(ranking(5, 8, 9), target, np.array(negatives, np.int32)) == place


def test_figures_follow_from_the_places() -> None:
    grades = SampledGrades(NegativeSampler(AVAILABLE, 100))
    full = ranking(*range(1, ITEMS + 1))
    grades.add(full, touched(), 1, 0)  # first
    grades.add(full, touched(), 2, 1)  # second: item 1 is among all the negatives
    grades.add(full, touched(), 30, 2)  # last of 30
    figures = grades.figures()
    assert figures["sampled_hit_rate_at_10"] == pytest.approx(2 / 3)
    assert figures["sampled_ndcg_at_10"] == pytest.approx((1.0 + 1.0 / np.log2(3.0)) / 3)
    assert figures["sampled_mrr"] == pytest.approx((1.0 + 0.5 + 1 / 30) / 3)
    assert "sampled" in str(figures["remark"])
