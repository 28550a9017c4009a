"""Finding the never-seen items that suit a user: a look at each of them, through tables of what its classes score."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
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

# Items whose scores are computed together, before it is asked whether the rest can be left out.
_BLOCK = 256


@compiled
def search_unseen(
    weights: NDArray[np.float32],
    sets: NDArray[np.float32],
    eras: NDArray[np.float32],
    years: NDArray[np.float32],
    unseen: NDArray[np.int32],
    unseen_sets: NDArray[np.int32],
    unseen_eras: NDArray[np.int16],
    unseen_years: NDArray[np.int16],
    unseen_rates: NDArray[np.float32],
    marks: NDArray[np.uint8],
    best: NDArray[np.int32],
) -> int:
    """Write the never-seen items with the best linear fusion, title words left aside, best first.

    Args:
        weights: [13] of the features in this order: three genre profiles, the last again for never-seen items, the
            set of genres; recent years, the same for never-seen items, long years; age, unreleased; era, the same for
            never-seen items; first rate.
        sets: [S, SET_COLUMNS], `eras` [ERAS], `years` [YEARS + 1, YEAR_COLUMNS]: the user's tables.
        eras: See sets.
        years: See sets.
        unseen: [M] items to look at, highest first rate first; those not FREE are left out.
        unseen_sets: [M] their sets of genres; `unseen_eras`, `unseen_years`, `unseen_rates`: the same of these.
        unseen_eras: See unseen_sets.
        unseen_years: See unseen_sets.
        unseen_rates: See unseen_sets.
        marks: [N].
        best: [W] out.

    Returns:
        How many were written: W, or fewer if there are not as many.
    """
    set_scores, year_scores = np.empty(len(sets), np.float32), np.empty(len(years), np.float32)
    by_era = weights[10] + weights[11]
    era_scores = by_era * eras
    last, recent, long, exact = weights[0], weights[1], weights[2] + weights[3], weights[4]
    for place in range(len(sets)):
        own = sets[place]
        set_scores[place] = (last * own[SET_LAST] + recent * own[SET_RECENT]) + (
            long * own[SET_LONG] + exact * own[SET_EXACT]
        )
    recent, long, age, unreleased = weights[5] + weights[6], weights[7], weights[8], weights[9]
    for year in range(len(years)):
        own = years[year]
        year_scores[year] = (recent * own[YEAR_RECENT] + long * own[YEAR_LONG]) + (
            age * own[YEAR_AGE] + unreleased * own[YEAR_UNRELEASED]
        )
    return best_unseen(
        unseen,
        unseen_sets,
        unseen_eras,
        unseen_years,
        unseen_rates,
        marks,
        set_scores,
        era_scores,
        year_scores,
        weights[12],
        best,
    )


@compiled
def best_unseen(
    unseen: NDArray[np.int32],
    sets: NDArray[np.int32],
    eras: NDArray[np.int16],
    years: NDArray[np.int16],
    rates: NDArray[np.float32],
    marks: NDArray[np.uint8],
    set_scores: NDArray[np.float32],
    era_scores: NDArray[np.float32],
    year_scores: NDArray[np.float32],
    rate_weight: float,
    best: NDArray[np.int32],
) -> int:
    """Write the never-seen items with the highest sums of scores, highest first; of equal ones any, always the same.

    Args:
        unseen: [M] items to look at, highest first rate first; those not FREE are left out.
        sets: [M] their places in `set_scores`.
        eras: [M] their places in `era_scores`.
        years: [M] their places in `year_scores`.
        rates: [M] their first rates.
        marks: [N].
        set_scores: [S] by set of genres.
        era_scores: [ERAS].
        year_scores: [Y] by year of release.
        rate_weight: Factor of `rates`.
        best: [W] out.

    Returns:
        How many were written: W, or fewer if there are not as many.
    """
    wanted, slope = len(best), np.float32(rate_weight)
    # A heap of the best so far, the least of them first: few items get past it.
    scores, totals = np.empty(wanted, np.float32), np.empty(_BLOCK, np.float32)
    size, least = 0, np.float32(-np.inf)
    # More than this no item gets beside its rate; the rates fall, so that the rest can be left out at some point.
    most = set_scores.max() + era_scores.max() + year_scores.max()
    for begin in range(0, len(unseen), _BLOCK):
        if slope >= 0.0 and most + slope * rates[begin] <= least:
            break
        number = min(_BLOCK, len(unseen) - begin)
        for place in range(number):
            by_class = set_scores[np.uint32(sets[begin + place])] + era_scores[np.uint16(eras[begin + place])]
            by_year = year_scores[np.uint16(years[begin + place])]
            totals[place] = by_class + (by_year + slope * rates[begin + place])
        for place in range(number):
            if totals[place] <= least:
                continue
            item = unseen[begin + place]
            if marks[item] != FREE:
                continue
            if size < wanted:
                _sift_up(scores, best, size, totals[place], item)
                size += 1
            else:
                _sift_down(scores, best, size, totals[place], item)
            if size == wanted:
                least = scores[0]
    order = np.argsort(-scores[:size], kind="mergesort")
    best[:size] = best[:size][order]
    return size


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
