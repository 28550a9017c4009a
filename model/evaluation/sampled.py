"""Metrics against sampled negatives: only for comparison with papers that report nothing else.

The target is ranked among a few items drawn at random instead of the whole catalogue. Such figures are several times
higher, and may even order systems differently (W. Krichene, S. Rendle, "On sampled metrics for item recommendation",
KDD 2020), so they are labelled as sampled wherever they appear.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.evaluation.outcomes import LISTED
from model.evaluation.system import Ranking
from streams.users import ResolvedEvent, UserState

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


def sampled_place(ranking: Ranking, target: int, negatives: NDArray[np.int32]) -> int:
    """Return the place of the target, from 0, among itself and the negatives.

    What a system did not rank comes after what it ranked; among the former the target comes last.
    """
    place = ranking.place_of(target)
    if place < 0:
        return len(negatives)
    shown = np.asarray(ranking.shown, np.int32)
    ahead = np.concatenate([shown, ranking.ranked[~np.isin(ranking.ranked, shown)]])[:place]
    return int(np.isin(negatives, ahead).sum())


class SampledGrades:
    """Figures of one system against sampled negatives; an observer of what the evaluator grades.

    Args:
        sampler: Draws them.
    """

    def __init__(self, sampler: NegativeSampler) -> None:
        self.sampler = sampler
        self._places: list[int] = []

    def add(self, ranking: Ranking, state: UserState, target: int, number: int) -> None:
        """Grade one ranking; `number` distinguishes the targets."""
        self._places.append(sampled_place(ranking, target, self.sampler.draw(state, target, number)))

    def passed(self, row: int) -> None:
        """Do nothing."""

    def graded(self, row: int, ranking: Ranking, before: UserState, event: ResolvedEvent) -> None:
        """Grade one ranking."""
        self.add(ranking, before, event.item, row)

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
