"""Pooling the few hundred items whose features are computed: what links lead to, then lists of others."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.ranking.cut_kernel import pool_by_links
from streams.ranking.marks_kernel import FREE, POOLED
from streams.ranking.title_kernel import RELATIVES, find_relatives

# Most items in the pool.
POOL_SIZE = 1024
# Where the pooled items come from, at most; what several sources name is pooled once.
# On ml-latest-small half as many again cost more time and changed the hit rate at 10 by less than .0005.
_BY_LINKS = 160
_RECENT = 32
_HISTORY_LENGTH = 48
_POPULAR = 16
_NEWEST = 8
_RELATIVES_OF_LAST = 5


@compiled
def fill_pool(
    history: NDArray[np.int32],
    lags: int,
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
    lengths: NDArray[np.int32],
    factors: NDArray[np.float32],
    back_off: NDArray[np.float64],
    totals: NDArray[np.float64],
    shares: NDArray[np.float32],
    norms: NDArray[np.float32],
    available: NDArray[np.bool_],
    forced: NDArray[np.int32],
    unseen: NDArray[np.int32],
    newest: NDArray[np.int32],
    recent: NDArray[np.int32],
    by_history: NDArray[np.int32],
    ever: NDArray[np.int32],
    tokens: NDArray[np.int32],
    token_offsets: NDArray[np.int32],
    token_carriers: NDArray[np.int32],
    catalogue_size: int,
    least: int,
    marks: NDArray[np.uint8],
    scores: NDArray[np.float32],
    pool: NDArray[np.int32],
) -> int:
    """Pool items from every source.

    Args:
        history: [H] items, newest first; the links of the first `lags` count.
        lags: See history.
        ids: See `pool_by_links`, also for the next seven.
        values: Likewise.
        lengths: Likewise.
        factors: Likewise.
        back_off: Likewise.
        totals: Likewise.
        shares: Likewise.
        norms: Likewise.
        available: [N].
        forced: Items that are pooled in any case; like those below passed over where out of range or not available.
        unseen: Never-seen items, all of them pooled.
        newest: Items with few events, latest first.
        recent: Items by recent popularity.
        by_history: Items by popularity among users with a history of this length.
        ever: Items by all-time popularity.
        tokens: [N, W] title words, see `find_relatives`, also for the next three.
        token_offsets: Likewise.
        token_carriers: Likewise.
        catalogue_size: Likewise.
        least: Size that the pool should have at least: what is missing comes from `ever`.
        marks: [N] items put into the pool become POOLED.
        scores: [N] scratch, all zero before and after.
        pool: [POOL_SIZE] out.

    Returns:
        The size of the pool.
    """
    size = pool_by_links(
        history,
        lags,
        ids,
        values,
        lengths,
        factors,
        back_off,
        totals,
        shares,
        norms,
        available,
        marks,
        scores,
        _BY_LINKS,
        pool,
    )
    size = _pool_from_list(forced, POOL_SIZE, available, marks, pool, size)
    size = _pool_from_list(unseen, POOL_SIZE, available, marks, pool, size)
    size = _pool_from_list(newest, _NEWEST, available, marks, pool, size)
    relatives = np.empty(RELATIVES, np.int32)
    for item in history[:_RELATIVES_OF_LAST]:
        number = find_relatives(item, tokens, token_offsets, token_carriers, catalogue_size, relatives)
        size = _pool_from_list(relatives[:number], number, available, marks, pool, size)
    size = _pool_from_list(recent, _RECENT, available, marks, pool, size)
    size = _pool_from_list(by_history, _HISTORY_LENGTH, available, marks, pool, size)
    size = _pool_from_list(ever, _POPULAR, available, marks, pool, size)
    # Whoever has touched most of the popular items still gets a full pool.
    return _pool_from_list(ever, least, available, marks, pool, size) if size < least else size


@compiled
def _pool_from_list(
    items: NDArray[np.int32],
    wanted: int,
    available: NDArray[np.bool_],
    marks: NDArray[np.uint8],
    pool: NDArray[np.int32],
    size: int,
) -> int:
    """Add the first items of a list that may be recommended, `wanted` at most; those pooled already count."""
    for item in items:
        if wanted == 0 or size == len(pool):
            break
        if item <= 0 or item >= len(marks):
            continue
        mark = marks[item]
        if mark == POOLED:
            wanted -= 1
        elif mark == FREE and available[item]:
            marks[item] = POOLED
            pool[size] = item
            size += 1
            wanted -= 1
    return size
