"""Grading a served list with what the user then did, beside the popularity list of the same moment."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Grade:
    """Hit rate and NDCG at 10 of one event: 0 or 1, and 1 / log2(rank + 2) with rank from 0."""

    hit: bool
    ndcg: float
    popularity_hit: bool
    popularity_ndcg: float


def grade(
    served: Sequence[int],
    target: int,
    popularity_order: NDArray[np.int32],
    touched: NDArray[np.int32],
    length: int = 10,
) -> Grade:
    """Grade the list a user was shown with the item that came next.

    Args:
        served: Item indexes in rank order.
        target: Index of the item acted on, not touched before.
        popularity_order: [N] items by all-time count, before this event.
        touched: Items the user had touched before this event: left out of the popularity list.
        length: Places that count.
    """
    ndcg = gain(rank_in(served[:length], target))
    popular = popular_list(popularity_order, touched, length)
    popularity_ndcg = gain(rank_in(popular.tolist(), target))
    return Grade(ndcg > 0.0, ndcg, popularity_ndcg > 0.0, popularity_ndcg)


def popular_list(
    popularity_order: NDArray[np.int32], touched: NDArray[np.int32], length: int = 10
) -> NDArray[np.int32]:
    """Return the first `length` items of an order that are not touched."""
    head = popularity_order[: length + len(touched)]
    mask = np.zeros(int(head.max(initial=0)) + 1, np.bool_)
    mask[touched[touched < len(mask)]] = True
    return np.asarray(head[~mask[head]][:length], np.int32)


def rank_in(items: Sequence[int], target: int) -> int | None:
    """Return the place of the target, from 0, or None."""
    return next((rank for rank, item in enumerate(items) if item == target), None)


def gain(rank: int | None) -> float:
    """Return the NDCG of one relevant item: 1 / log2(rank + 2), 0 for None."""
    return 0.0 if rank is None else 1.0 / math.log2(rank + 2)
