"""Who touched what, cut to the items with most users: what the co-occurrence baselines are fitted to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.model.dataset.event_table import EventTable

# A [M, M] float32 matrix of this many items takes 256 MiB.
MAX_ITEMS = 8_192
# Older events change little; the co-occurrences of more would take minutes.
_MAX_EVENTS = 2_000_000
# An item of one user says as much about that user as about itself.
_MIN_USERS = 2


@dataclass(frozen=True, slots=True)
class Interactions:
    """Distinct user-item pairs.

    Args:
        items: [M] int32 item indexes, ascending; a column is a place in here.
        columns: [N] int32 column of each item index, -1 where it was cut.
        baskets: The columns, ascending, that each user touched; users without any are left out.
        users_of: [M] float32 number of users of each column.
    """

    items: NDArray[np.int32]
    columns: NDArray[np.int32]
    baskets: tuple[NDArray[np.int64], ...]
    users_of: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.items)

    def matrix(self) -> NDArray[np.float32]:
        """Return the binary [users, M] matrix."""
        dense = np.zeros((len(self.baskets), len(self.items)), np.float32)
        for row, basket in enumerate(self.baskets):
            dense[row, basket] = 1.0
        return dense

    def cooccurrences(self) -> NDArray[np.float32]:
        """Return [M, M] numbers of users who touched both items; the diagonal is `users_of`."""
        counts = np.zeros((len(self.items), len(self.items)), np.float32)
        for basket in self.baskets:
            counts[np.ix_(basket, basket)] += 1.0
        return counts


def interactions_of(events: EventTable, size: int, max_items: int = MAX_ITEMS) -> Interactions:
    """Return the distinct pairs of the newest events.

    Args:
        events: The log so far.
        size: Item indexes are below this, or the result is larger.
        max_items: Most columns; the items with most users are kept, the lower index where equal.
    """
    items, users = events.items[-_MAX_EVENTS:].astype(np.int64), events.users[-_MAX_EVENTS:].astype(np.int64)
    size = max(size, int(items.max(initial=0)) + 1)
    pairs = np.unique(users * size + items)
    users, items = pairs // size, pairs % size
    counts = np.bincount(items, minlength=size)
    kept = np.flatnonzero(counts >= _MIN_USERS)
    kept = np.sort(kept[np.argsort(-counts[kept], kind="stable")][:max_items])
    columns = np.full(size, -1, np.int32)
    columns[kept] = np.arange(len(kept))
    there = columns[items] >= 0
    return Interactions(
        kept.astype(np.int32), columns, _baskets(users[there], columns[items[there]]), counts[kept].astype(np.float32)
    )


def _baskets(users: NDArray[np.int64], columns: NDArray[np.int32]) -> tuple[NDArray[np.int64], ...]:
    """Split columns that are sorted by user."""
    if not len(users):
        return ()
    starts = np.flatnonzero(users[1:] != users[:-1]) + 1
    return tuple(np.split(columns.astype(np.int64), starts))
