"""Metrics against sampled negatives: only for comparison with papers that report nothing else.

The target is ranked among a few items drawn at random instead of the whole catalogue. Such figures are several times
higher, and may even order systems differently (W. Krichene, S. Rendle, "On sampled metrics for item recommendation",
KDD 2020), so they are labelled as sampled wherever they appear.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import UserState
from millrace.model.evaluation.outcomes import LISTED

_REMARK = "ranked among {} sampled negatives, not among the whole catalogue: comparable with sampled figures only"


@dataclass(frozen=True, slots=True)
class NegativeSampler:
    """Draws items that a user has not touched, each equally likely.

    Args:
        available: [N] bool, items that may be drawn; index 0 is padding.
        count: Negatives per target.
        seed: The same user, target and seed give the same negatives, whatever else is asked.
    """

    available: NDArray[np.bool_]
    count: int
    seed: int = 0

    def draw(self, state: UserState, target: int, number: int) -> NDArray[np.int32]:
        """Return up to `count` distinct items, neither touched nor the target.

        Args:
            state: The user before the target.
            target: What came.
            number: Distinguishes the targets, e.g. the row of the stream.
        """
        allowed = self.available.copy()
        allowed[0] = False
        allowed[state.touched[state.touched < len(allowed)]] = False
        if target < len(allowed):
            allowed[target] = False
        items = np.flatnonzero(allowed)
        rng = np.random.default_rng((self.seed, number))
        return rng.choice(items, min(self.count, len(items)), replace=False).astype(np.int32)


class RanksGiven(Protocol):
    """Ranks items that it is given."""

    def rank_given(self, state: UserState, now_ms: int, items: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the items, or the first LISTED of them at least, best first."""
        ...


class SampledGrades:
    """Figures of one system against sampled negatives.

    Args:
        sampler: Draws them.
    """

    def __init__(self, sampler: NegativeSampler) -> None:
        self.sampler = sampler
        self._places: list[int] = []

    def add(self, system: RanksGiven, state: UserState, now_ms: int, target: int, number: int) -> None:
        """Grade one event.

        Args:
            system: Ranks the target among the negatives; their order says nothing.
            state: The user before the event.
            now_ms: Time of the request.
            target: What came.
            number: Distinguishes the targets.
        """
        negatives = self.sampler.draw(state, target, number)
        given = np.sort(np.append(negatives, np.int32(target)))
        found = np.flatnonzero(system.rank_given(state, now_ms, given) == target)
        # What is not ranked at all comes last.
        self._places.append(int(found[0]) if len(found) else len(negatives))

    def figures(self) -> dict[str, float | int | str]:
        """Return the figures under names that say they are sampled; zeros when nothing was graded."""
        places = np.array(self._places, np.int64)
        hits = places < LISTED
        gains = np.where(hits, 1.0 / np.log2(places + 2.0), 0.0)
        return {
            "negatives": self.sampler.count,
            "events_graded": len(places),
            "sampled_hit_rate_at_10": float(hits.mean()) if len(places) else 0.0,
            "sampled_ndcg_at_10": float(gains.mean()) if len(places) else 0.0,
            "sampled_mrr": float((1.0 / (places + 1.0)).mean()) if len(places) else 0.0,
            "remark": _REMARK.format(self.sampler.count),
        }
