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
def score_classes(
    weights: NDArray[np.float32],
    set_genres: NDArray[np.int16],
    set_norms: NDArray[np.float64],
    genre_ratios: NDArray[np.float64],
    set_ratios: NDArray[np.float32],
    era_ratios: NDArray[np.float64],
    year_ratios: NDArray[np.float64],
    now: float,
    unknown_age: float,
    set_scores: NDArray[np.float64],
    era_scores: NDArray[np.float64],
    year_scores: NDArray[np.float64],
) -> None:
    """Score the classes of never-seen items as the linear fusion does.

    Args:
        weights: [>= 12] of the features in this order: three genre profiles, the last again for never-seen items, the
            set of genres; recent years, the same for never-seen items, long years; age, unreleased; era, the same for
            never-seen items.
        set_genres: [S, G] genre ids, 0 where fewer.
        set_norms: [S] one over the root of their number.
        genre_ratios: [PROFILES, MAX_GENRES].
        set_ratios: [S].
        era_ratios: [ERAS].
        year_ratios: [PROFILES, Y].
        now: Now, in years after the first.
        unknown_age: Stands for the years since release of an item of unknown year.
        set_scores: [S] out.
        era_scores: [ERAS] out.
        year_scores: [Y + 1] out; the last one is the score of an unknown year.
    """
    last, recent, long, by_set = weights[0], weights[1], weights[2] + weights[3], weights[4]
    by_genre = np.empty(genre_ratios.shape[1])
    for genre in range(len(by_genre)):
        by_genre[genre] = (
            last * genre_ratios[0, genre] + recent * genre_ratios[1, genre] + long * genre_ratios[2, genre]
        )
    # What stands for no genre adds nothing.
    by_genre[0] = 0.0
    for place in range(len(set_genres)):
        total = 0.0
        for carried in range(set_genres.shape[1]):
            total += by_genre[set_genres[place, carried]]
        set_scores[place] = total * set_norms[place] + by_set * set_ratios[place]
    for era in range(len(era_ratios)):
        era_scores[era] = (weights[10] + weights[11]) * era_ratios[era]
    _score_years(
        year_ratios, weights[5] + weights[6], weights[7], weights[8], weights[9], now, unknown_age, year_scores
    )


@compiled
def _score_years(
    year_ratios: NDArray[np.float64],
    recent: float,
    long: float,
    age: float,
    unreleased: float,
    now: float,
    unknown_age: float,
    out: NDArray[np.float64],
) -> None:
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
