"""Pooling the few hundred items whose features are computed: what links lead to, then lists of others."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled
from millrace.streams.ranking.arrays import HistoryWeights, ItemArrays, ItemLists, LinkRows, Scratch, TitleWords, User
from millrace.streams.ranking.cut_kernel import pool_by_links
from millrace.streams.ranking.marks_kernel import FREE, POOLED
from millrace.streams.ranking.title_kernel import relatives_of

# Most items in the pool.
POOL_SIZE = 1024
# Where the pooled items come from, at most; an item of several sources is pooled once.
# On ml-latest-small half as many again cost more time and changed the hit rate at 10 by less than .0005.
_BY_LINKS = 160
_RECENT = 32
_HISTORY_LENGTH = 48
_POPULAR = 16
_NEWEST = 8
_RELATIVES_OF_LAST = 5


@compiled
def fill_pool(
    user: User,
    rows: LinkRows,
    weighed: HistoryWeights,
    items: ItemArrays,
    unseen: NDArray[np.int32],
    lists: ItemLists,
    titles: TitleWords,
    least: int,
    scratch: Scratch,
) -> NDArray[np.int32]:
    """Pool items from every source; in the lists, those out of range or not available are passed over.

    Args:
        user: Whose history and proposals.
        rows: Links of the history.
        weighed: Weights of the history's entries.
        items: Numbers of all items.
        unseen: Never-seen items, all of them pooled.
        lists: Items that are new, popular of late, popular ever.
        titles: Words that relate the last items to others.
        least: Wanted size of the pool; missing items are taken from those popular ever.
        scratch: Items put into the pool are marked as POOLED.

    Returns:
        [<= POOL_SIZE] the pool.
    """
    available, marks, pool = items.available, scratch.marks, np.empty(POOL_SIZE, np.int32)
    size = pool_by_links(user.items, rows, weighed, items, marks, scratch.scores, _BY_LINKS, pool)
    size = _pool_from_list(user.proposals, POOL_SIZE, available, marks, pool, size)
    size = _pool_from_list(unseen, POOL_SIZE, available, marks, pool, size)
    size = _pool_from_list(lists.newest, _NEWEST, available, marks, pool, size)
    for item in user.items[:_RELATIVES_OF_LAST]:
        relatives = relatives_of(item, titles, items.known)
        size = _pool_from_list(relatives, len(relatives), available, marks, pool, size)
    size = _pool_from_list(lists.recent, _RECENT, available, marks, pool, size)
    size = _pool_from_list(lists.by_history[user.bucket], _HISTORY_LENGTH, available, marks, pool, size)
    size = _pool_from_list(lists.ever, _POPULAR, available, marks, pool, size)
    # A user who has touched most of the popular items still gets a full pool.
    if size < least:
        size = _pool_from_list(lists.ever, least, available, marks, pool, size)
    return pool[:size]


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
    for place in range(len(items)):
        if wanted == 0 or size == len(pool):
            break
        item = items[place]
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
