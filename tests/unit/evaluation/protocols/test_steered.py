import numpy as np
import pytest

from millrace.kernel.user_state import UserState
from millrace.model.evaluation.protocols.steered import _MOST_GIVEN, SteeredSystem, _with_company
from millrace.streams.ranking import CandidateBatch
from millrace.streams.ranking.candidate_batch import allocate


def batch(*items: int) -> CandidateBatch:
    """Return the candidates of one user, best first, with features that tell the item."""
    candidates = np.zeros((1, 8), np.int32)
    candidates[0, : len(items)] = items
    features = np.repeat(candidates[..., None].astype(np.float32), 2, axis=2)
    _, whole = allocate(1, 64)
    return whole._replace(candidates=candidates, features=features, linear=-features[..., 0])


@pytest.mark.parametrize(("company", "kept"), [(0, [7, 3]), (1, [9, 7, 3]), (5, [9, 7, 4, 3])])
def test_given_items_stay_with_the_best_of_the_others(company: int, kept: list[int]) -> None:
    cut = _with_company(batch(9, 7, 4, 3), np.array([3, 7], np.int32), company)
    assert cut.candidates[0].tolist() == kept + [0] * (8 - len(kept))
    assert cut.features[0, : len(kept), 1].tolist() == kept
    assert np.isneginf(cut.linear[0, len(kept) :]).all()


class ByIndex(SteeredSystem):
    """Ranks the part of a request by index and returns its first ten, without any network."""

    def __init__(self) -> None:
        self.largest = 0

    def _rank_part(self, state: UserState, now_ms: int, items: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        self.largest = max(self.largest, len(items))
        return np.sort(items)[:10]


def test_of_more_items_than_a_request_holds_the_best_of_each_part_compete() -> None:
    system = ByIndex()
    items = np.random.default_rng(0).permutation(np.arange(1, 20 * _MOST_GIVEN)).astype(np.int32)
    assert system.rank_given(UserState("u"), 0, items).tolist() == list(range(1, 11))
    assert system.largest <= _MOST_GIVEN
