"""Finding the never-seen items that suit a user: a look at each of them, through tables of what its classes score."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.ranking.evidence_kernel import FREE
from streams.ranking.logarithm_kernel import log_all


@compiled
def best_unseen(
    unseen: NDArray[np.int32],
    sets: NDArray[np.int32],
    eras: NDArray[np.int16],
    years: NDArray[np.int16],
    rates: NDArray[np.float32],
    marks: NDArray[np.uint8],
    set_scores: NDArray[np.float64],
    era_scores: NDArray[np.float64],
    year_scores: NDArray[np.float64],
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
    wanted = len(best)
    # A heap of the best so far, the least of them first: few items get past it.
    scores = np.empty(wanted)
    size = 0
    # More than this no item gets beside its rate; the rates fall, so that the rest can be left out at some point.
    most = set_scores.max() + era_scores.max() + year_scores.max()
    for place in range(len(unseen)):
        rated = rate_weight * rates[place]
        if size == wanted and rate_weight >= 0.0 and most + rated <= scores[0]:
            break
        total = set_scores[sets[place]] + era_scores[eras[place]] + rated + year_scores[years[place]]
        if size == wanted and total <= scores[0]:
            continue
        item = unseen[place]
        if marks[item] != FREE:
            continue
        if size < wanted:
            _sift_up(scores, best, size, total, item)
            size += 1
        else:
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
def score_sets(
    set_genres: NDArray[np.int16],
    set_norms: NDArray[np.float64],
    genre_ratios: NDArray[np.float64],
    set_ratios: NDArray[np.float32],
    weights: NDArray[np.float32],
    out: NDArray[np.float64],
) -> None:
    """Add up the scores of each set's genres, divided by the root of their number, and the set's own.

    Args:
        set_genres: [S, G] genre ids, 0 where fewer.
        set_norms: [S] one over the root of their number.
        genre_ratios: [PROFILES, MAX_GENRES].
        set_ratios: [S].
        weights: [PROFILES + 1] of the profiles and of the set.
        out: [S] out.
    """
    profiles, genres = genre_ratios.shape
    by_genre = np.zeros(genres)
    # The first entry stays 0: what stands for no genre adds nothing.
    for genre in range(1, genres):
        for profile in range(profiles):
            by_genre[genre] += weights[profile] * genre_ratios[profile, genre]
    for place in range(len(set_genres)):
        total = 0.0
        for carried in range(set_genres.shape[1]):
            total += by_genre[set_genres[place, carried]]
        out[place] = total * set_norms[place] + weights[profiles] * set_ratios[place]


@compiled
def score_years(
    year_ratios: NDArray[np.float64],
    weights: NDArray[np.float32],
    now: float,
    unknown_age: float,
    out: NDArray[np.float64],
) -> None:
    """Score each year of release as the linear fusion does.

    Args:
        year_ratios: [PROFILES, Y].
        weights: [4] of the recent and the long profile, of the log years since release, and of what is not yet out.
        now: Now, in years after the first.
        unknown_age: Stands for the years since release of an item of unknown year.
        out: [Y + 1] out; the last one is the score of an unknown year.
    """
    recent, long, age, unreleased = weights[0], weights[1], weights[2], weights[3]
    last = len(out) - 1
    ages = np.empty(len(out), np.float32)
    for year in range(last):
        ages[year] = 1.0 + max(now - year, 0.0)
    ages[last] = 1.0 + unknown_age
    log_all(ages, np.empty(len(out), np.float32))
    for year in range(last):
        out[year] = recent * year_ratios[1, year] + long * year_ratios[2, year] + age * ages[year]
        if year > now + 1.0:
            out[year] += unreleased
    out[last] = age * ages[last]
