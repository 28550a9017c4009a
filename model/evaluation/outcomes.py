"""Graded events and a system's outcomes on them, as columns."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

LISTED = 10
# Rank of a target that a system did not rank at all.
UNRANKED = -1


@dataclass(frozen=True, slots=True)
class GradedEvents:
    """E graded events: first touches of an item by its user, in stream order; the same for every system.

    Args:
        rows: [E] int64 row in the stream.
        users: [E] int32 user numbers, dense from 0 by first appearance in the stream.
        items: [E] int32 dense item index.
        values: [E] float32 the rating given, 0.5 to 5.
        ts_ms: [E] int64 event time in ms.
        history_lengths: [E] int32 events of the user before.
        gaps_s: [E] float64 seconds since the user's event before; infinite for a first event.
        item_counts: [E] int32 events of the item before; 0 marks a first-ever event.
        user_ids: Names by user number.
    """

    rows: NDArray[np.int64]
    users: NDArray[np.int32]
    items: NDArray[np.int32]
    values: NDArray[np.float32]
    ts_ms: NDArray[np.int64]
    history_lengths: NDArray[np.int32]
    gaps_s: NDArray[np.float64]
    item_counts: NDArray[np.int32]
    user_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class SystemOutcomes:
    """The outcomes of one system on E graded events.

    Args:
        name: The system.
        ranks: [E] int32 rank of the target from 0 in the system's whole ranking, UNRANKED if it is not in it.
        shown: [E, LISTED] int32 items shown, 0 where fewer.
        predicted: [E] float32 rating predicted for the target before it was known; NaN where there is none.
        seconds: Wall-clock seconds by phase.
        counts: Further counters, by name.
    """

    name: str
    ranks: NDArray[np.int32]
    shown: NDArray[np.int32]
    predicted: NDArray[np.float32]
    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)

    @property
    def hits(self) -> NDArray[np.bool_]:
        """[E] whether the target was among the LISTED shown."""
        return np.asarray((self.ranks >= 0) & (self.ranks < LISTED))

    @property
    def gains(self) -> NDArray[np.float64]:
        """[E] NDCG of one relevant item: 1 / log2(rank + 2) within the list, else 0."""
        return np.where(self.hits, 1.0 / np.log2(np.maximum(self.ranks, 0) + 2.0), 0.0)

    @property
    def reciprocal_ranks(self) -> NDArray[np.float64]:
        """[E] 1 / (rank + 1) within the whole ranking, else 0."""
        return np.where(self.ranks >= 0, 1.0 / (np.maximum(self.ranks, 0) + 1.0), 0.0)
