"""Finds the never-seen items that suit a user: scores all of them by tables over their classes."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled
from millrace.streams.ranking import columns
from millrace.streams.ranking.arrays import Taste, UnseenItems
from millrace.streams.ranking.marks_kernel import FREE
from millrace.streams.ranking.selection_kernel import LOWER_HALF, falling, largest, ordered, unordered
from millrace.streams.ranking.taste_kernel import (
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
# Items scored between two checks whether the rest can be skipped.
_BLOCK = 256
# Items beyond the wanted ones that are collected before all but the best are dropped.
_SPARE = 64


@compiled
def search_unseen(
    weights: NDArray[np.float32], taste: Taste, unseen: UnseenItems, marks: NDArray[np.uint8]
) -> NDArray[np.int32]:
    """Return the never-seen items with the best linear fusion, title words left aside, best first.

    Args:
        weights: [F] of the features.
        taste: The user's tables.
        unseen: Items to look at; those not FREE are left out.
        marks: [N].

    Returns:
        [<= POOL_UNSEEN].
    """
    set_scores, year_scores = np.empty(len(taste.sets), np.float32), np.empty(len(taste.years), np.float32)
    era_scores, best = np.empty(len(taste.eras), np.float32), np.empty(POOL_UNSEEN, np.int32)
    most = float(_score_sets(weights, taste.sets, set_scores))
    most += float(_score_years(weights, taste.years, year_scores))
    by_era, by_rate = weights[columns.CATALOGUE_ERA] + weights[columns.UNSEEN_ERA], weights[columns.FIRST_RATE]
    most += float(_score_eras(by_era, taste.eras, era_scores))
    return best[: best_unseen(unseen, marks, set_scores, era_scores, year_scores, by_rate, most, best)]


@compiled
def _score_sets(weights: NDArray[np.float32], sets: NDArray[np.float32], scores: NDArray[np.float32]) -> np.float32:
    """Write the scores [S] of sets of genres and return the highest."""
    last, recent, exact = weights[columns.GENRE_LAST], weights[columns.GENRE_RECENT], weights[columns.GENRE_SET]
    long = weights[columns.GENRE_LONG] + weights[columns.UNSEEN_GENRE]
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
    """Write the scores [YEARS + 1] of years and return the highest."""
    recent, long = weights[columns.YEAR_RECENT] + weights[columns.UNSEEN_YEAR], weights[columns.YEAR_LONG]
    age, unreleased = weights[columns.RELEASE_AGE], weights[columns.UNRELEASED]
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
    """Write the never-seen items with the highest sums of scores, highest first; of equal ones the earlier.

    Args:
        unseen: Items to look at; those not FREE are left out.
        marks: [N].
        set_scores: [S] by set of genres.
        era_scores: [ERAS].
        year_scores: [Y] by year of release.
        rate_weight: Factor of `rates`.
        most: Upper bound of the score without the rate.
        best: [W] out.

    Returns:
        How many were written: W, or fewer if there are not as many.
    """
    wanted, slope = len(best), np.float32(rate_weight)
    places, scores = np.empty(_BLOCK + 1, np.int32), np.empty(_BLOCK + 1, np.float32)
    bits, keys = scores.view(np.uint32), np.empty(wanted + _SPARE + _BLOCK + 1, np.uint64)
    size, least = 0, np.float32(-np.inf)
    sets, eras, years, rates = unseen.sets, unseen.eras, unseen.years, unseen.rates
    for begin in range(0, len(rates), _BLOCK):
        # The rates fall: from some point on the rest cannot win.
        if slope >= 0.0 and most + slope * rates[begin] <= least:
            break
        # Without branches: which items beat the least score so far is unpredictable.
        better = 0
        for place in range(begin, min(begin + _BLOCK, len(rates))):
            by_class = set_scores[np.uint32(sets[place])] + era_scores[np.uint16(eras[place])]
            score = by_class + (year_scores[np.uint16(years[place])] + slope * rates[place])
            places[better], scores[better] = place, score
            better += score > least
        for number in range(better):
            # The place is counted from behind, so that the earlier of equal ones comes first.
            keys[size] = (ordered(bits[number]) << np.uint64(32)) | (LOWER_HALF - np.uint64(places[number]))
            size += marks[unseen.items[places[number]]] == FREE
        if size > wanted + _SPARE:
            largest(keys, size, wanted)
            size, bits[0] = wanted, unordered(keys[:wanted].min() >> np.uint64(32))
            least = scores[0]
    taken = min(size, wanted)
    largest(keys, size, taken)
    order = falling(keys[:taken])
    for rank in range(taken):
        best[rank] = unseen.items[np.int64(LOWER_HALF - (order[rank] & LOWER_HALF))]
    return taken
