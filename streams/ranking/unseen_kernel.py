"""Finding the never-seen items that suit a user: a look at each of them, through tables of what its classes score."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.ranking.arrays import Taste, UnseenItems
from streams.ranking.marks_kernel import FREE
from streams.ranking.taste_kernel import (
    SET_EXACT,
    SET_LAST,
    SET_LONG,
    SET_RECENT,
    YEAR_AGE,
    YEAR_LONG,
    YEAR_RECENT,
    YEAR_UNRELEASED,
)

# Never-seen items that join the pool.
POOL_UNSEEN = 48
# Items whose scores are computed together, before it is asked whether the rest can be left out.
_BLOCK = 256


@compiled
def search_unseen(
    weights: NDArray[np.float32], taste: Taste, unseen: UnseenItems, marks: NDArray[np.uint8]
) -> NDArray[np.int32]:
    """Return the never-seen items with the best linear fusion, title words left aside, best first.

    Args:
        weights: [13] of the features in this order: three genre profiles, the last again for never-seen items, the
            set of genres; recent years, the same for never-seen items, long years; age, unreleased; era, the same for
            never-seen items; first rate.
        taste: The user's tables.
        unseen: Items to look at; those not FREE are left out.
        marks: [N].

    Returns:
        [<= POOL_UNSEEN].
    """
    set_scores, year_scores = np.empty(len(taste.sets), np.float32), np.empty(len(taste.years), np.float32)
    era_scores, best = np.empty(len(taste.eras), np.float32), np.empty(POOL_UNSEEN, np.int32)
    most = float(_score_sets(weights[:5], taste.sets, set_scores))
    most += float(_score_years(weights[5:10], taste.years, year_scores))
    most += float(_score_eras(weights[10] + weights[11], taste.eras, era_scores))
    return best[: best_unseen(unseen, marks, set_scores, era_scores, year_scores, weights[12], most, best)]


@compiled
def _score_sets(weights: NDArray[np.float32], sets: NDArray[np.float32], scores: NDArray[np.float32]) -> np.float32:
    """Write the scores [S] of sets of genres and return the highest; the weights [5] are as of `search_unseen`."""
    last, recent, long, exact = weights[0], weights[1], weights[2] + weights[3], weights[4]
    most = np.float32(-np.inf)
    for place in range(len(sets)):
        own = sets[place]
        by_genre = last * own[SET_LAST] + recent * own[SET_RECENT]
        score = by_genre + (long * own[SET_LONG] + exact * own[SET_EXACT])
        scores[place] = score
        most = max(most, score)
    return most


@compiled
def _score_years(weights: NDArray[np.float32], years: NDArray[np.float32], scores: NDArray[np.float32]) -> np.float32:
    """Write the scores [YEARS + 1] of years and return the highest; the weights [5] are as of `search_unseen`."""
    recent, long, age, unreleased = weights[0] + weights[1], weights[2], weights[3], weights[4]
    most = np.float32(-np.inf)
    for year in range(len(years)):
        own = years[year]
        by_profile = recent * own[YEAR_RECENT] + long * own[YEAR_LONG]
        score = by_profile + (age * own[YEAR_AGE] + unreleased * own[YEAR_UNRELEASED])
        scores[year] = score
        most = max(most, score)
    return most


@compiled
def _score_eras(weight: float, eras: NDArray[np.float32], scores: NDArray[np.float32]) -> np.float32:
    """Write the scores [ERAS] of places in the catalogue and return the highest."""
    most = np.float32(-np.inf)
    for era in range(len(eras)):
        score = np.float32(weight) * eras[era]
        scores[era] = score
        most = max(most, score)
    return most


@compiled
def best_unseen(
    unseen: UnseenItems,
    marks: NDArray[np.uint8],
    set_scores: NDArray[np.float32],
    era_scores: NDArray[np.float32],
    year_scores: NDArray[np.float32],
    rate_weight: float,
    most: float,
    best: NDArray[np.int32],
) -> int:
    """Write the never-seen items with the highest sums of scores, highest first; of equal ones any, always the same.

    Args:
        unseen: Items to look at; those not FREE are left out.
        marks: [N].
        set_scores: [S] by set of genres.
        era_scores: [ERAS].
        year_scores: [Y] by year of release.
        rate_weight: Factor of `rates`.
        most: More than this no item gets beside its rate.
        best: [W] out.

    Returns:
        How many were written: W, or fewer if there are not as many.
    """
    wanted, slope = len(best), np.float32(rate_weight)
    # A heap of the best so far, the least of them first: few items get past it.
    scores, totals = np.empty(wanted, np.float32), np.empty(_BLOCK, np.float32)
    size, least = 0, np.float32(-np.inf)
    sets, eras, years, rates = unseen.sets, unseen.eras, unseen.years, unseen.rates
    for begin in range(0, len(rates), _BLOCK):
        # The rates fall, so that the rest can be left out at some point.
        if slope >= 0.0 and most + slope * rates[begin] <= least:
            break
        number = min(_BLOCK, len(rates) - begin)
        for place in range(number):
            by_class = set_scores[np.uint32(sets[begin + place])] + era_scores[np.uint16(eras[begin + place])]
            by_year = year_scores[np.uint16(years[begin + place])]
            totals[place] = by_class + (by_year + slope * rates[begin + place])
        for place in range(number):
            if totals[place] <= least:
                continue
            item = unseen.items[begin + place]
            if marks[item] != FREE:
                continue
            if size < wanted:
                _sift_up(scores, best, size, totals[place], item)
                size += 1
            else:
                _sift_down(scores, best, size, totals[place], item)
            if size == wanted:
                least = scores[0]
    _unwind(scores, best, size)
    return size


@compiled
def _unwind(scores: NDArray[np.float32], items: NDArray[np.int32], size: int) -> None:
    """Sort a heap in place, the highest score first: its least entry goes behind all that are left."""
    for last in range(size - 1, 0, -1):
        least, item, score, moved = scores[0], items[0], scores[last], items[last]
        _sift_down(scores, items, last, score, moved)
        scores[last], items[last] = least, item


@compiled
def _sift_up(scores: NDArray[np.float32], items: NDArray[np.int32], place: int, score: float, item: int) -> None:
    """Put an entry into the heap's first free place and move it to where it belongs."""
    while place > 0 and score < scores[(place - 1) // 2]:
        scores[place], items[place] = scores[(place - 1) // 2], items[(place - 1) // 2]
        place = (place - 1) // 2
    scores[place], items[place] = score, item


@compiled
def _sift_down(scores: NDArray[np.float32], items: NDArray[np.int32], size: int, score: float, item: int) -> None:
    """Replace the heap's first entry and move the new one to where it belongs."""
    place = 0
    while True:
        child = 2 * place + 1
        if child + 1 < size and scores[child + 1] < scores[child]:
            child += 1
        if child >= size or score <= scores[child]:
            break
        scores[place], items[place] = scores[child], items[child]
        place = child
    scores[place], items[place] = score, item
