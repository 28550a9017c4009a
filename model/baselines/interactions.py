"""Binary user-item interactions, limited to the items with most users; the input of the co-occurrence baselines."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.model.dataset.event_table import EventTable

# A [M, M] float32 matrix of this many items takes 256 MiB.
MAX_ITEMS = 8_192
# Limits the time of a fit: counting the co-occurrences of more events takes minutes.
_MAX_EVENTS = 2_000_000
# The co-occurrences of an item with a single user only repeat that user's history.
_MIN_USERS = 2


@dataclass(frozen=True, slots=True)
class Interactions:
    """Distinct user-item pairs, with one column per modelled item.

    Args:
        items: [M] int32 dense item index of each column, ascending.
        columns: [N] int32 column of each dense item index, -1 for an item that is not modelled.
        baskets: For each user, the int64 columns of the touched items, ascending; users without any are left out.
        users_of: [M] float32 number of users of each column.
    """

    items: NDArray[np.int32]
    columns: NDArray[np.int32]
    baskets: tuple[NDArray[np.int64], ...]
    users_of: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.items)

    def matrix(self) -> NDArray[np.float32]:
        """Return the binary matrix, [users, M] float32."""
        dense = np.zeros((len(self.baskets), len(self.items)), np.float32)
        for row, basket in enumerate(self.baskets):
            dense[row, basket] = 1.0
        return dense

    def cooccurrences(self) -> NDArray[np.float32]:
        """Return the number of users who touched both items, [M, M] float32; the diagonal is `users_of`."""
        counts = np.zeros((len(self.items), len(self.items)), np.float32)
        for basket in self.baskets:
            counts[np.ix_(basket, basket)] += 1.0
        return counts


def interactions_of(events: EventTable, size: int, max_items: int = MAX_ITEMS) -> Interactions:
    """Return the distinct user-item pairs of the newest events.

    Args:
        events: The log so far.
        size: N, length of `columns`; increased if the log contains higher item indexes.
        max_items: Most columns. The items with most users are kept; of equal ones the lower index.
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
    """Split [R] columns, sorted by user, into one array per user."""
    if not len(users):
        return ()
    starts = np.flatnonzero(users[1:] != users[:-1]) + 1
    return tuple(np.split(columns.astype(np.int64), starts))
