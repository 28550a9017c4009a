"""Comparing a user's decayed genre and release-year profiles with everyone's."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.ranking.item_kernel import ITEM_SET, ITEM_YEAR
from streams.ranking.logarithm_kernel import log_all

PROFILES = 3  # genre profiles: last, recent, long; the years use the latter two
_PROFILE_DECAYS = (0.5, 0.8, 0.97)
# What is older than this has lost all but a billionth of its weight, or is not kept.
_PROFILE_LAGS = (30, 100, 200)
# Release years are counted from here; unknown ones have the place YEARS and no part in the profile.
FIRST_YEAR = 1850
YEARS = 256
# How far a release year speaks for its neighbours: weight exp(-distance / width).
_YEAR_WIDTH = 3.0
# Weight of everyone's profile in the user's.
_PROFILE_PRIOR = 0.2
_SHARE_FLOOR = 1e-3
# A year with less mass than this is as good as absent.
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
    genre_sums, year_sums = np.zeros((PROFILES, len(genre_shares))), np.zeros((PROFILES, YEARS + 1))
    genre_totals = np.zeros(PROFILES)
    for profile in range(PROFILES):
        genres, years, total, weight = genre_sums[profile], year_sums[profile], 0.0, 1.0
        for item in history[: _PROFILE_LAGS[profile]]:
            line = items[item]
            carried = set_genres[int(line[ITEM_SET])]
            total += weight if carried[0] > 0 else 0.0
            for genre in carried:
                if genre == 0:
                    break
                genres[genre] += weight
            years[int(line[ITEM_YEAR])] += weight
            weight *= _PROFILE_DECAYS[profile]
        genre_totals[profile] = total
    for profile in range(PROFILES):
        _compare_genres(genre_sums[profile], genre_totals[profile], genre_shares, genre_ratios[profile])
    for profile in range(1, PROFILES):
        _compare_years(year_sums[profile, :YEARS], year_shares, year_ratios[profile])


@compiled
def _compare_genres(
    sums: NDArray[np.float64], total: float, shares: NDArray[np.float64], ratios: NDArray[np.float64]
) -> None:
    """Write the log ratios [MAX_GENRES] of a profile's sums to everyone's shares."""
    absent = np.log(_PROFILE_PRIOR / (total + _PROFILE_PRIOR))
    for genre in range(len(shares)):
        if sums[genre] == 0.0:
            ratios[genre] = absent
            continue
        share = shares[genre] + _SHARE_FLOOR
        ratios[genre] = np.log((sums[genre] + _PROFILE_PRIOR * share) / ((total + _PROFILE_PRIOR) * share))


@compiled
def _compare_years(sums: NDArray[np.float64], shares: NDArray[np.float64], ratios: NDArray[np.float32]) -> None:
    """Smooth a profile's sums [YEARS] and write their log ratios to everyone's shares."""
    total = sums.sum()
    smooth_years(sums)
    for year in range(YEARS):
        share = shares[year] + _SHARE_FLOOR
        mass = sums[year] if sums[year] >= _ABSENT else 0.0
        ratios[year] = (mass + _PROFILE_PRIOR * share) / ((total + _PROFILE_PRIOR) * share)
    log_all(ratios, np.empty(YEARS, np.float32))


@compiled
def smooth_years(mass: NDArray[np.float64]) -> None:
    """Spread mass over neighbouring years, weight exp(-distance / width), total kept away from the ends."""
    keep = np.exp(-1.0 / _YEAR_WIDTH)
    forward = 0.0
    before = np.zeros(len(mass))
    for year in range(len(mass)):
        forward = forward * keep + mass[year]
        before[year] = forward
    backward = 0.0
    for year in range(len(mass) - 1, -1, -1):
        own = mass[year]
        mass[year] = (before[year] + backward * keep) * (1.0 - keep) / (1.0 + keep)
        backward = backward * keep + own
