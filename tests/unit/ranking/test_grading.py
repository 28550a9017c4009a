import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.streams.ranking import grade


@given(
    served=st.lists(st.integers(1, 30), unique=True, max_size=12),
    target=st.integers(1, 30),
    touched=st.sets(st.integers(1, 40), max_size=25),
    order=st.permutations(range(1, 31)),
)
def test_grades_equal_their_definition(served, target, touched, order):
    touched.discard(target)
    result = grade(served, target, np.array(order, np.int32), np.array(sorted(touched), np.int32))
    popular = [item for item in order if item not in touched][:10]
    expected = 1 / math.log2(served.index(target) + 2) if target in served[:10] else 0.0
    by_popularity = 1 / math.log2(popular.index(target) + 2) if target in popular else 0.0
    assert result.hit == (target in served[:10])
    assert result.ndcg == pytest.approx(expected)
    assert result.popularity_hit == (target in popular)
    assert result.popularity_ndcg == pytest.approx(by_popularity)


def test_an_empty_order_and_an_empty_list_are_no_hit():
    empty = np.empty(0, np.int32)
    assert grade([], 5, empty, empty).ndcg == 0.0
