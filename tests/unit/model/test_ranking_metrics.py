import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.model.metrics import RankingMetrics


@given(ranks=st.lists(st.none() | st.integers(0, 30), max_size=60), length=st.integers(1, 20))
def test_metrics_equal_their_definition(ranks, length):
    metrics = RankingMetrics(length)
    for rank in ranks:
        metrics.add(rank)
    inside = [rank for rank in ranks if rank is not None and rank < length]
    assert metrics.hit_rate == pytest.approx(len(inside) / len(ranks) if ranks else 0.0)
    gain = sum(math.log(2) / math.log(rank + 2) for rank in inside)
    assert metrics.ndcg == pytest.approx(gain / len(ranks) if ranks else 0.0)


def test_the_first_place_is_worth_one():
    metrics = RankingMetrics()
    metrics.add(0)
    assert (metrics.hit_rate, metrics.ndcg) == (1.0, 1.0)
