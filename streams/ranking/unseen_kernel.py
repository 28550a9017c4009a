"""Finding the never-seen items that suit a user: a look at each of them, through tables of what its classes score."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.ranking.evidence_kernel import FREE
from streams.ranking.pool_kernel import largest, ordered


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
    """Write the never-seen items with the highest sums of scores, highest first; ties go to the lower index.

    Args:
        unseen: [M] items to look at; those not FREE are left out.
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
    keys = np.empty(len(unseen), np.uint64)
    score = np.empty(1, np.float32)
    bits = score.view(np.uint32)
    size = 0
    for item in unseen:
        if marks[item] != FREE:
            continue
        total = set_scores[genre_sets[item]] + era_scores[eras[item]] + rate_weight * first_rates[item]
        if years[item] > 0:
            total += year_scores[min(max(years[item] - first_year, 0), len(year_scores) - 1)]
        else:
            total += unknown_year
        score[0] = total
        keys[size] = (ordered(bits[0]) << np.uint64(32)) | np.uint64(0xFFFFFFFF - item)
        size += 1
    taken = min(size, len(best))
    largest(keys, size, taken)
    order = np.sort(keys[:taken])[::-1]
    for place in range(taken):
        best[place] = np.int32(np.uint64(0xFFFFFFFF) - (order[place] & np.uint64(0xFFFFFFFF)))
    return taken


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
