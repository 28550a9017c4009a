"""Comparing what a user picks with what everyone picks: by popularity, place in the catalogue, exact set of genres."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled

# Two popularity profiles, recent and long.
CLASS_PROFILES = 2
_CLASS_DECAYS = (0.8, 0.97)
_CLASS_PRIOR = 0.5
# How far a popularity class speaks for its neighbours; the never-seen stand alone.
_CLASS_REACH = 0.4
_ERA_DECAY, _ERA_LAGS, _ERA_PRIOR = 0.8, 30, 0.1
# How far an era speaks for its neighbours.
_ERA_WINDOW = (0.1, 0.2, 0.4, 0.2, 0.1)
_SET_DECAY, _SET_LAGS, _SET_PRIOR = 0.9, 50, 0.5
_SHARE_FLOOR = 1e-3
_TASTE_LAGS, _TASTE_DECAY = 20, 0.9
_COUNT_SCALE = 5.0


@compiled
def class_profiles(
    history: NDArray[np.int32],
    lesser_classes: NDArray[np.int8],
    class_shares: NDArray[np.float64],
    ratios: NDArray[np.float64],
) -> None:
    """Compare how popular the user's items are with everyone's picks, as log ratios by popularity class.

    Args:
        history: [H] items, newest first.
        lesser_classes: [N] class of each item without one event, the user's own.
        class_shares: [POPULARITY_CLASSES] share of recent events by class.
        ratios: [CLASS_PROFILES, POPULARITY_CLASSES] out.
    """
    number = len(class_shares)
    for profile in range(CLASS_PROFILES):
        mass = np.zeros(number)
        total, weight = 0.0, 1.0
        for item in history:
            mass[lesser_classes[item]] += weight
            total += weight
            weight *= _CLASS_DECAYS[profile]
        shares = class_shares.copy()
        _spread_classes(mass)
        _spread_classes(shares)
        for place in range(number):
            own, share = mass[place], shares[place] + _SHARE_FLOOR
            ratios[profile, place] = np.log((own + _CLASS_PRIOR * share) / ((total + _CLASS_PRIOR) * share))


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
def taste_of(
    history: NDArray[np.int32],
    counts: NDArray[np.int64],
    out: NDArray[np.float32],
) -> None:
    """Say how obscure the user's last items are.

    Args:
        history: [H] items, newest first.
        counts: [N] all-time counts.
        out: [2] out: decayed share of items without events of others, decayed mean of the log counts of others,
            divided by 5, less 1.
    """
    unseen, counted, total, weight = 0.0, 0.0, 0.0, 1.0
    for item in history[:_TASTE_LAGS]:
        others = max(counts[item] - 1, 0)
        unseen += weight if others == 0 else 0.0
        counted += weight * np.log1p(others)
        total += weight
        weight *= _TASTE_DECAY
    out[0] = unseen / (total + 0.5)
    out[1] = counted / total / _COUNT_SCALE - 1.0 if total > 0.0 else 0.0


@compiled
def era_profile(
    history: NDArray[np.int32],
    eras: NDArray[np.int16],
    era_shares: NDArray[np.float64],
    ratios: NDArray[np.float64],
) -> None:
    """Compare where in the catalogue the user's last items stand with everyone's, as log ratios by era.

    Args:
        history: [H] items, newest first.
        eras: [N] era of each item.
        era_shares: [ERAS] smoothed share of recent events.
        ratios: [ERAS] out.
    """
    number = len(era_shares)
    mass = np.zeros(number + 4)
    total, weight = 0.0, 1.0
    for item in history[:_ERA_LAGS]:
        for step in range(5):
            mass[eras[item] + step] += weight * _ERA_WINDOW[step]
        total += weight
        weight *= _ERA_DECAY
    absent = np.log(_ERA_PRIOR / (total + _ERA_PRIOR))
    for era in range(number):
        if mass[era + 2] == 0.0:
            ratios[era] = absent
            continue
        share = era_shares[era] + _SHARE_FLOOR
        ratios[era] = np.log((mass[era + 2] + _ERA_PRIOR * share) / ((total + _ERA_PRIOR) * share))


@compiled
def set_profile(
    history: NDArray[np.int32],
    genre_sets: NDArray[np.int32],
    set_shares: NDArray[np.float64],
    ratios: NDArray[np.float32],
) -> None:
    """Compare the exact sets of genres of the user's last items with everyone's, as log ratios by set.

    Args:
        history: [H] items, newest first.
        genre_sets: [N] set of each item.
        set_shares: [S] share of recent events.
        ratios: [S] out.
    """
    lags = min(len(history), _SET_LAGS)
    for item in history[:lags]:
        ratios[genre_sets[item]] = 0.0
    total, weight = 0.0, 1.0
    for item in history[:lags]:
        ratios[genre_sets[item]] += weight
        total += weight
        weight *= _SET_DECAY
    # A set may come up twice: all masses are read before the first ratio is written.
    own_ratios = np.empty(lags)
    for lag in range(lags):
        own = ratios[genre_sets[history[lag]]]
        share = set_shares[genre_sets[history[lag]]] + _SHARE_FLOOR
        own_ratios[lag] = np.log((own + _SET_PRIOR * share) / ((total + _SET_PRIOR) * share))
    ratios[:] = np.log(_SET_PRIOR / (total + _SET_PRIOR))
    for lag in range(lags):
        ratios[genre_sets[history[lag]]] = own_ratios[lag]
