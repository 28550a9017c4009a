"""Compares a user's decayed genre and release-year profiles with everyone's."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled
from millrace.streams.ranking.item_kernel import ITEM_SET, ITEM_YEAR
from millrace.streams.ranking.logarithm_kernel import log_all

PROFILES = 3  # genre profiles: last, recent, long; the years use the latter two
_PROFILE_DECAYS = (0.5, 0.8, 0.97)
# Older entries have lost all but a billionth of their weight, or are not stored.
_LAST_LAGS, _RECENT_LAGS, _LONG_LAGS = 30, 100, 200
# Release years are counted from here; unknown ones have the place YEARS and are left out of the profile.
FIRST_YEAR = 1850
YEARS = 256
# Weight of a release year in its neighbours: exp(-distance / width).
_YEAR_WIDTH = 3.0
# Weight of everyone's profile in the user's.
_PROFILE_PRIOR = 0.2
_SHARE_FLOOR = 1e-3
# A year with less mass than this counts as absent.
_ABSENT = 1e-6


@compiled
def profile_ratios(
    history: NDArray[np.int32],
    items: NDArray[np.float32],
    set_genres: NDArray[np.int16],
    genre_shares: NDArray[np.float64],
    year_shares: NDArray[np.float64],
    genre_ratios: NDArray[np.float64],
    year_ratios: NDArray[np.float32],
) -> None:
    """Write log ratios of the user's share of each genre and release year to everyone's.

    Args:
        history: [H] items, newest first.
        items: [N, ITEM_COLUMNS] lines.
        set_genres: [S, G] genre ids of each set of genres, 0 where fewer.
        genre_shares: [MAX_GENRES] share of recent events on items of each genre.
        year_shares: [YEARS] smoothed share of recent events by release year.
        genre_ratios: [PROFILES, MAX_GENRES] out.
        year_ratios: [PROFILES, YEARS] out, the first row untouched.
    """
    genre_sums, year_sums = np.zeros((len(genre_shares), PROFILES)), np.zeros((YEARS + 1, 2))
    last, recent, long = 1.0, 1.0, 1.0
    totals = np.zeros(PROFILES)
    for lag in range(min(len(history), _LONG_LAGS)):
        if lag == _LAST_LAGS:
            last = 0.0
        if lag == _RECENT_LAGS:
            recent = 0.0
        item = np.uint32(history[lag])
        place, year = np.uint32(items[item, ITEM_SET]), np.uint32(items[item, ITEM_YEAR])
        for carried in range(set_genres.shape[1]):
            genre = np.uint16(set_genres[place, carried])
            if genre == 0:
                break
            genre_sums[genre, 0] += last
            genre_sums[genre, 1] += recent
            genre_sums[genre, 2] += long
        if set_genres[place, 0] > 0:
            totals[0] += last
            totals[1] += recent
            totals[2] += long
        year_sums[year, 0] += recent
        year_sums[year, 1] += long
        last *= _PROFILE_DECAYS[0]
        recent *= _PROFILE_DECAYS[1]
        long *= _PROFILE_DECAYS[2]
    _compare_genres(genre_sums, totals, genre_shares, genre_ratios)
    _compare_years(year_sums[:YEARS], year_shares, year_ratios)


@compiled
def _compare_genres(
    sums: NDArray[np.float64],
    totals: NDArray[np.float64],
    shares: NDArray[np.float64],
    ratios: NDArray[np.float64],
) -> None:
    """Write the log ratios of the sums [MAX_GENRES, PROFILES] to everyone's shares."""
    for profile in range(PROFILES):
        weight = totals[profile] + _PROFILE_PRIOR
        ratios[profile] = np.log(_PROFILE_PRIOR / weight)
        for genre in range(len(shares)):
            if sums[genre, profile] > 0.0:
                share = shares[genre] + _SHARE_FLOOR
                ratios[profile, genre] = np.log((sums[genre, profile] + _PROFILE_PRIOR * share) / (weight * share))


@compiled
def _compare_years(sums: NDArray[np.float64], shares: NDArray[np.float64], ratios: NDArray[np.float32]) -> None:
    """Smooth the sums [YEARS, 2] of the later two profiles and write their log ratios to everyone's shares."""
    totals = sums.sum(axis=0)
    smooth_years(sums)
    for profile in range(1, PROFILES):
        weight, own = totals[profile - 1] + _PROFILE_PRIOR, ratios[profile]
        for year in range(YEARS):
            share = shares[year] + _SHARE_FLOOR
            mass = sums[year, profile - 1]
            mass = mass if mass >= _ABSENT else 0.0
            own[year] = (mass + _PROFILE_PRIOR * share) / (weight * share)
        log_all(own, np.empty(YEARS, np.float32))


@compiled
def smooth_years(mass: NDArray[np.float64]) -> None:
    """Spread mass over neighbouring years, weight exp(-distance / width), total kept away from the ends.

    Args:
        mass: [YEARS, 2] two profiles, smoothed together: each addition waits for the one before.
    """
    keep = np.exp(-1.0 / _YEAR_WIDTH)
    scale = (1.0 - keep) / (1.0 + keep)
    before, after = np.empty(mass.shape), np.empty(mass.shape)
    # Both ways at once: each step waits for the one before.
    first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
    for place in range(len(mass)):
        mirror = len(mass) - 1 - place
        first, second = first * keep + mass[place, 0], second * keep + mass[place, 1]
        before[place, 0], before[place, 1] = first, second
        third, fourth = third * keep, fourth * keep
        after[mirror, 0], after[mirror, 1] = third, fourth
        third, fourth = third + mass[mirror, 0], fourth + mass[mirror, 1]
    for year in range(len(mass)):
        mass[year, 0] = (before[year, 0] + after[year, 0]) * scale
        mass[year, 1] = (before[year, 1] + after[year, 1]) * scale
