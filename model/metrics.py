"""Ranking metrics of test-then-train evaluation, where each list has one relevant item."""

import math
from dataclasses import dataclass


@dataclass(slots=True)
class RankingMetrics:
    """Running means of hit rate and NDCG over graded events.

    Args:
        length: Number of places of a list that count.
        events: Graded events so far.
        hits: Events whose item was in the list.
        gain_sum: Sum of the discounted gains, 1 / log2(rank + 2) each.
    """

    length: int = 10
    events: int = 0
    hits: int = 0
    gain_sum: float = 0.0

    def add(self, rank: int | None) -> None:
        """Add one graded event.

        Args:
            rank: Place of the relevant item in the list, from 0; None if it was not listed.
        """
        self.events += 1
        if rank is not None and rank < self.length:
            self.hits += 1
            self.gain_sum += 1.0 / math.log2(rank + 2)

    @property
    def hit_rate(self) -> float:
        """Share of events whose item was in the list (HR@length), 0 to 1."""
        return self.hits / self.events if self.events else 0.0

    @property
    def ndcg(self) -> float:
        """Mean of 1 / log2(rank + 2), or 0 for an unlisted item (NDCG@length with one relevant item), 0 to 1."""
        return self.gain_sum / self.events if self.events else 0.0
