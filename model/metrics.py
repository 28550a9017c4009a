"""Ranking metrics of test-then-train evaluation: one relevant item per list."""

import math
from dataclasses import dataclass


@dataclass(slots=True)
class RankingMetrics:
    """Running means over graded events.

    Args:
        length: Places that count.
    """

    length: int = 10
    events: int = 0
    hits: int = 0
    gain_sum: float = 0.0

    def add(self, rank: int | None) -> None:
        """Grade one event; `rank` is the target's place from 0, or None if it was not listed."""
        self.events += 1
        if rank is not None and rank < self.length:
            self.hits += 1
            self.gain_sum += 1.0 / math.log2(rank + 2)

    @property
    def hit_rate(self) -> float:
        """Share of events whose item was in the list (HR@length)."""
        return self.hits / self.events if self.events else 0.0

    @property
    def ndcg(self) -> float:
        """Mean of 1 / log2(rank + 2), 0 beyond the list (NDCG@length with one relevant item)."""
        return self.gain_sum / self.events if self.events else 0.0
