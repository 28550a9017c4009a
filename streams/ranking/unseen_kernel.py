"""Finding the never-seen items that suit a user: a look at each of them, through tables of what its classes score."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.ranking.evidence_kernel import FREE


@compiled
def best_unseen(
    unseen: NDArray[np.int32],
    marks: NDArray[np.uint8],
    genre_sets: NDArray[np.int32],
    set_scores: NDArray[np.float64],
    years: NDArray[np.int16],
    first_year: int,
    year_scores: NDArray[np.float64],
    unknown_year: float,
    eras: NDArray[np.int16],
    era_scores: NDArray[np.float64],
    first_rates: NDArray[np.float32],
    rate_weight: float,
    best: NDArray[np.int32],
) -> int:
    """Write the never-seen items with the highest sums of scores, highest first; of equal ones any, always the same.

    Args:
        unseen: [M] items to look at, highest first rate first; those not FREE are left out.
        marks: [N].
        genre_sets: [N] set of genres of each item.
        set_scores: [S].
        years: [N] year of release, 0 if unknown.
        first_year: The year of `year_scores[0]`.
        year_scores: [Y] by year of release; later and earlier years share the ends.
        unknown_year: Score of an item without a year.
        eras: [N].
        era_scores: [ERAS].
        first_rates: [N].
        rate_weight: Factor of `first_rates`.
        best: [W] out.

    Returns:
        How many were written: W, or fewer if there are not as many.
    """
    wanted = len(best)
    # A heap of the best so far, the least of them first: few items get past it.
    scores = np.empty(wanted)
    size = 0
    # More than this no item gets beside its rate; the rates fall, so that the rest can be left out at some point.
    most = set_scores.max() + era_scores.max() + max(year_scores.max(), unknown_year)
    for item in unseen:
        if size == wanted and rate_weight >= 0.0 and most + rate_weight * first_rates[item] <= scores[0]:
            break
        if marks[item] != FREE:
            continue
        total = set_scores[genre_sets[item]] + era_scores[eras[item]] + rate_weight * first_rates[item]
        if years[item] > 0:
            total += year_scores[min(max(years[item] - first_year, 0), len(year_scores) - 1)]
        else:
            total += unknown_year
        if size < wanted:
            _sift_up(scores, best, size, total, item)
            size += 1
        elif total > scores[0]:
            _sift_down(scores, best, size, total, item)
    order = np.argsort(-scores[:size], kind="mergesort")
    best[:size] = best[:size][order]
    return size


@compiled
def _sift_up(scores: NDArray[np.float64], items: NDArray[np.int32], place: int, score: float, item: int) -> None:
    """Put an entry into the heap's first free place and move it to where it belongs."""
    while place > 0 and score < scores[(place - 1) // 2]:
        scores[place], items[place] = scores[(place - 1) // 2], items[(place - 1) // 2]
        place = (place - 1) // 2
    scores[place], items[place] = score, item


@compiled
def _sift_down(scores: NDArray[np.float64], items: NDArray[np.int32], size: int, score: float, item: int) -> None:
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


@compiled
def set_scores_of(
    set_genres: NDArray[np.int16],
    genre_scores: NDArray[np.float64],
    set_ratios: NDArray[np.float32],
    ratio_weight: float,
    out: NDArray[np.float64],
) -> None:
    """Add up the scores of each set's genres, divided by the root of their number, and the set's own.

    Args:
        set_genres: [S, G] genre ids, 0 where fewer.
        genre_scores: [MAX_GENRES].
        set_ratios: [S].
        ratio_weight: Factor of `set_ratios`.
        out: [S] out.
    """
    for place in range(len(set_genres)):
        total, carried = 0.0, 0
        for genre in set_genres[place]:
            if genre == 0:
                break
            total += genre_scores[genre]
            carried += 1
        out[place] = total / np.sqrt(max(carried, 1)) + ratio_weight * set_ratios[place]


@compiled
def years_of(
    year_ratios: NDArray[np.float64],
    recent: float,
    long: float,
    age: float,
    unreleased: float,
    now: float,
    out: NDArray[np.float64],
) -> None:
    """Score each year of release as the linear fusion does.

    Args:
        year_ratios: [PROFILES, Y].
        recent: Weight of the recent profile.
        long: Weight of the long one.
        age: Weight of the log years since release.
        unreleased: Weight of an item that is not released yet.
        now: Now, in years after the first.
        out: [Y] out.
    """
    for year in range(len(out)):
        out[year] = recent * year_ratios[1, year] + long * year_ratios[2, year] + age * np.log1p(max(now - year, 0.0))
        if year > now + 1.0:
            out[year] += unreleased
