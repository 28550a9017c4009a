import math

import numpy as np
import pytest

from millrace.kernel.contracts import CatalogueItem
from millrace.model.evaluation.report.list_figures import diversity, list_figures, novelty, shown_share_curve
from millrace.streams.catalogue import Catalogue

GENRES = {1: ("Comedy",), 2: ("Comedy", "Drama"), 3: ("War",), 4: (), 5: ("Comedy",)}


def catalogue() -> Catalogue:
    made = Catalogue()
    for index, genres in GENRES.items():
        made.upsert(index, CatalogueItem(item_id=f"i{index}", genres=genres))
    return made


def shown(*lists: tuple[int, ...]) -> np.ndarray:
    return np.array([[*one, *[0] * (4 - len(one))] for one in lists], np.int32)


def test_diversity_is_the_mean_of_all_pairs() -> None:
    lists = [(1, 2, 3), (1, 5), (2, 3, 4)]

    def dissimilarity(first: int, second: int) -> float:
        one, other = set(GENRES[first]), set(GENRES[second])
        return 1 - len(one & other) / len(one | other)

    means = [
        (dissimilarity(1, 2) + dissimilarity(1, 3) + dissimilarity(2, 3)) / 3,
        dissimilarity(1, 5),
        dissimilarity(2, 3),  # item 4 has no genres
    ]
    assert diversity(shown(*lists), catalogue().genres) == pytest.approx(sum(means) / 3)


def test_lists_of_one_item_have_no_diversity() -> None:
    assert math.isnan(diversity(shown((1,), (4,)), catalogue().genres))


def test_novelty_in_bits() -> None:
    counts = np.array([0, 3, 1, 0, 0, 0])
    bits = [-math.log2((count + 1) / (4 + 5)) for count in (3, 0)]
    assert novelty(shown((1, 3)), counts, items=5) == pytest.approx(sum(bits) / 2)


def test_coverage_counts_what_is_available() -> None:
    made = catalogue()
    made.upsert(5, CatalogueItem(item_id="i5", genres=("Comedy",), available=False))
    figures = list_figures(shown((1, 2), (1, 3)), np.zeros(6, np.int64), made)
    assert figures.coverage == 3 / 4


def test_concentration_from_even_to_one_alone() -> None:
    even = list_figures(shown((1, 2, 3, 4), (5,)), np.zeros(6, np.int64), catalogue())
    alone = list_figures(shown((1,), (1,), (1,)), np.zeros(6, np.int64), catalogue())
    assert even.concentration == pytest.approx(0.0)
    assert alone.concentration == pytest.approx(1 - 1 / 5)


def test_the_curve_goes_from_nothing_to_all() -> None:
    shares, curve = shown_share_curve(shown((1, 2), (1, 3), (1,)), items=100)
    assert (curve[0], curve[-1]) == (0.0, 1.0)
    assert (np.diff(curve) >= 0).all()
    one_item = curve[np.searchsorted(shares, 0.01)]
    assert one_item == pytest.approx(3 / 5)
