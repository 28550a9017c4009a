"""User and item biases of a log."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millrace.model.dataset.event_table import EventTable

# A bias counts as if so many ratings of the average had been seen; both chosen on the oldest 30 % of ml-latest-small.
_USER_PRIOR = 5.0
_ITEM_PRIOR = 4.0
_SWEEPS = 10


@dataclass(frozen=True, slots=True)
class Levels:
    """User and item biases of a log, without taste.

    Args:
        mean: Mean of all ratings.
        rest: [N] float64 rating minus mean and user bias.
        total: [rows] float64 sum of `rest` by item.
        count: [rows] float64 ratings by item.
    """

    mean: float
    rest: NDArray[np.float64]
    total: NDArray[np.float64]
    count: NDArray[np.float64]


def fit_levels(events: EventTable, rows: int) -> Levels:
    """Fit shrunk user and item biases by alternating ridge regression.

    Args:
        events: At least one rating; items below `rows`.
        rows: Rows of the item tables.
    """
    users, items = events.users, events.items
    values = events.values.astype(np.float64)
    mean = float(values.mean())
    user_counts, counts = np.bincount(users), np.bincount(items, minlength=rows).astype(np.float64)
    user_bias = np.zeros(len(user_counts))
    for _ in range(_SWEEPS):
        item_bias = np.bincount(items, values - mean - user_bias[users], minlength=rows) / (counts + _ITEM_PRIOR)
        user_bias = np.bincount(users, values - mean - item_bias[items]) / (user_counts + _USER_PRIOR)
    rest = values - mean - user_bias[users]
    total = np.bincount(items, rest, minlength=rows).astype(np.float64)
    return Levels(mean, rest, total, counts)
