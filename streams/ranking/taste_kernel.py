"""Compares what a user picks with what everyone picks, as tables over classes of items.

The classes are popularity, sets of genres, years of release and places in the catalogue.
"""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled
from millrace.streams.ranking import columns
from millrace.streams.ranking.arrays import Everyone, Taste
from millrace.streams.ranking.item_kernel import ITEM_ERA, ITEM_LESSER_CLASS, ITEM_SET
from millrace.streams.ranking.logarithm_kernel import log_all
from millrace.streams.ranking.profile_kernel import FIRST_YEAR, PROFILES, YEARS, profile_ratios

# Columns of the table of sets of genres: the three genre profiles, summed and normalised; log ratio of just this set.
SET_LAST, SET_RECENT, SET_LONG, SET_EXACT, SET_COLUMNS = range(5)
# Columns of the table of years: two profiles; log years since release; 1 if it lies ahead.
YEAR_RECENT, YEAR_LONG, YEAR_AGE, YEAR_UNRELEASED, YEAR_COLUMNS = range(5)
# Two popularity profiles, recent and long.
CLASS_PROFILES = 2
_UNKNOWN_AGE = 15.0
_CLASS_DECAYS = (0.8, 0.97)
_CLASS_PRIOR = 0.5
# Weight of a popularity class in the next one; the never-seen class has no neighbours.
_CLASS_REACH = 0.4
_ERA_DECAY, _ERA_LAGS, _ERA_PRIOR = 0.8, 30, 0.1
# Weights of an era in its neighbours.
_ERA_WINDOW = (0.1, 0.2, 0.4, 0.2, 0.1)
_SET_DECAY, _SET_LAGS, _SET_PRIOR = 0.9, 50, 0.5
_SHARE_FLOOR = 1e-3
_TASTE_LAGS, _TASTE_DECAY = 20, 0.9
_COUNT_SCALE = 5.0


@compiled
def compare_taste(history: NDArray[np.int32], now_year: float, lines: NDArray[np.float32], everyone: Everyone) -> Taste:
    """Compare a user's history with everyone's picks.

    Args:
        history: [H] items, newest first.
        now_year: Time of the request.
        lines: [N, ITEM_COLUMNS] of the items.
        everyone: What it is compared with.

    Returns:
        Log ratios by popularity class, place in the catalogue, set of genres and year, see the columns above.
    """
    genres, years = len(everyone.genres), np.empty((YEARS + 1, YEAR_COLUMNS), np.float32)
    genre_ratios, year_ratios = np.empty((PROFILES, genres)), np.empty((PROFILES, YEARS), np.float32)
    shares = (everyone.genres, everyone.years)
    profile_ratios(history, lines, everyone.set_genres, *shares, genre_ratios, year_ratios)
    sets = np.empty((len(everyone.sets), SET_COLUMNS), np.float32)
    _sum_genres(genre_ratios, everyone.set_genres, everyone.set_norms, sets)
    _set_profile(history, lines, everyone.sets, sets)
    _fill_years(year_ratios, now_year - FIRST_YEAR, years)
    classes, eras = np.empty((CLASS_PROFILES, len(everyone.classes))), np.empty(len(everyone.eras), np.float32)
    _class_profiles(history, lines, everyone.classes, classes)
    _era_profile(history, lines, everyone.eras, eras)
    return Taste(classes, eras, sets, years)


@compiled
def _sum_genres(
    genre_ratios: NDArray[np.float64],
    set_genres: NDArray[np.int16],
    set_norms: NDArray[np.float64],
    sets: NDArray[np.float32],
) -> None:
    """Write what the genres of each set sum up to in the three profiles, divided by the root of their number."""
    for place in range(len(set_genres)):
        first, second, third = 0.0, 0.0, 0.0
        for carried in range(set_genres.shape[1]):
            genre = np.uint16(set_genres[place, carried])
            if genre == 0:
                break
            first += genre_ratios[0, genre]
            second += genre_ratios[1, genre]
            third += genre_ratios[2, genre]
        norm = set_norms[place]
        sets[place, SET_LAST] = first * norm
        sets[place, SET_RECENT] = second * norm
        sets[place, SET_LONG] = third * norm


@compiled
def _set_profile(
    history: NDArray[np.int32],
    items: NDArray[np.float32],
    set_shares: NDArray[np.float64],
    sets: NDArray[np.float32],
) -> None:
    """Write the log ratio of each exact set of genres among the user's last items to everyone's."""
    lags = min(len(history), _SET_LAGS)
    mass = np.zeros(len(set_shares))
    total, weight = 0.0, 1.0
    for lag in range(lags):
        mass[np.uint32(items[np.uint32(history[lag]), ITEM_SET])] += weight
        total += weight
        weight *= _SET_DECAY
    sets[:, SET_EXACT] = np.log(_SET_PRIOR / (total + _SET_PRIOR))
    for lag in range(lags):
        place = np.uint32(items[np.uint32(history[lag]), ITEM_SET])
        share = set_shares[place] + _SHARE_FLOOR
        sets[place, SET_EXACT] = np.log((mass[place] + _SET_PRIOR * share) / ((total + _SET_PRIOR) * share))


@compiled
def _fill_years(year_ratios: NDArray[np.float32], now: float, years: NDArray[np.float32]) -> None:
    """Fill the table of years; `now` is counted from FIRST_YEAR."""
    ages = np.empty(YEARS + 1, np.float32)
    for year in range(YEARS):
        ages[year] = 1.0 + max(now - year, 0.0)
    ages[YEARS] = 1.0 + _UNKNOWN_AGE
    log_all(ages, np.empty(YEARS + 1, np.float32))
    for year in range(YEARS):
        years[year, YEAR_RECENT], years[year, YEAR_LONG] = year_ratios[1, year], year_ratios[2, year]
        years[year, YEAR_AGE] = ages[year]
        years[year, YEAR_UNRELEASED] = 1.0 if year > now + 1.0 else 0.0
    years[YEARS] = 0.0
    years[YEARS, YEAR_AGE] = ages[YEARS]


@compiled
def _class_profiles(
    history: NDArray[np.int32],
    items: NDArray[np.float32],
    class_shares: NDArray[np.float64],
    classes: NDArray[np.float64],
) -> None:
    """Compare how popular the user's items are, each without the user's own event, with everyone's picks."""
    number = len(class_shares)
    mass = np.zeros((CLASS_PROFILES, number))
    recent, long, recent_total, long_total = 1.0, 1.0, 0.0, 0.0
    for lag in range(len(history)):
        own_class = np.uint32(items[np.uint32(history[lag]), ITEM_LESSER_CLASS])
        mass[0, own_class] += recent
        mass[1, own_class] += long
        recent_total += recent
        long_total += long
        recent *= _CLASS_DECAYS[0]
        long *= _CLASS_DECAYS[1]
    shares = class_shares.copy()
    _spread_classes(shares)
    for profile in range(CLASS_PROFILES):
        total = recent_total if profile == 0 else long_total
        _spread_classes(mass[profile])
        for place in range(number):
            own, share = mass[profile, place], shares[place] + _SHARE_FLOOR
            classes[profile, place] = np.log((own + _CLASS_PRIOR * share) / ((total + _CLASS_PRIOR) * share))


@compiled
def _spread_classes(mass: NDArray[np.float64]) -> None:
    """Let every class but the never-seen have _CLASS_REACH^distance of the others beside its own."""
    before, after = 0.0, 0.0
    ahead = np.zeros(len(mass))
    for place in range(len(mass) - 1, 0, -1):
        ahead[place] = after
        after = (after + mass[place]) * _CLASS_REACH
    for place in range(1, len(mass)):
        own = mass[place]
        mass[place] = own + before + ahead[place]
        before = (before + own) * _CLASS_REACH


@compiled
def _era_profile(
    history: NDArray[np.int32],
    items: NDArray[np.float32],
    era_shares: NDArray[np.float64],
    eras: NDArray[np.float32],
) -> None:
    """Compare the eras of the user's last items with everyone's smoothed shares."""
    number = len(era_shares)
    mass = np.zeros(number + 4)
    total, weight = 0.0, 1.0
    for lag in range(min(len(history), _ERA_LAGS)):
        first = np.uint32(items[np.uint32(history[lag]), ITEM_ERA])
        for step in range(5):
            mass[first + step] += weight * _ERA_WINDOW[step]
        total += weight
        weight *= _ERA_DECAY
    absent = np.log(_ERA_PRIOR / (total + _ERA_PRIOR))
    for era in range(number):
        if mass[era + 2] == 0.0:
            eras[era] = absent
            continue
        share = era_shares[era] + _SHARE_FLOOR
        eras[era] = np.log((mass[era + 2] + _ERA_PRIOR * share) / ((total + _ERA_PRIOR) * share))


@compiled
def write_taste(
    history: NDArray[np.int32],
    counts: NDArray[np.int64],
    context: NDArray[np.float32],
) -> None:
    """Write into the context how obscure the user's last items are; other users' events alone count.

    Args:
        history: [H] items, newest first.
        counts: [N] all-time counts.
        context: [U] out: `unseen_share` and `pick_count` are written.
    """
    unseen, counted, total, weight = 0.0, 0.0, 0.0, 1.0
    for lag in range(min(len(history), _TASTE_LAGS)):
        others = max(counts[np.uint32(history[lag])] - 1, 0)
        unseen += weight if others == 0 else 0.0
        counted += weight * np.log1p(others)
        total += weight
        weight *= _TASTE_DECAY
    context[columns.UNSEEN_SHARE] = unseen / (total + 0.5)
    context[columns.PICK_COUNT] = counted / total / _COUNT_SCALE - 1.0 if total > 0.0 else 0.0
