"""Computing the features of the pooled items; their names and order are in `features.FEATURE_NAMES`."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.ranking.evidence_kernel import COVISIT_PRIOR, COVISITS, LIFTS, STRONGEST, TRANSITIONS
from streams.ranking.logarithm_kernel import log_all

PROFILES = 3  # genre profiles: last, recent, long; the years use the latter two
_PROFILE_DECAYS = (0.5, 0.8, 0.97)
# What is older than this has lost all but a billionth of its weight, or is not kept.
_PROFILE_LAGS = (30, 100, 200)
# Release years are counted from here; unknown ones (0) have no part in the profile.
FIRST_YEAR = 1850
YEARS = 256
# How far a release year speaks for its neighbours: weight exp(-distance / width).
_YEAR_WIDTH = 3.0
# Weight of everyone's profile in the user's.
_PROFILE_PRIOR = 0.2
_SHARE_FLOOR = 1e-3
# A year with less mass than this is as good as absent: the logarithm is spared.
_ABSENT = 1e-6
_TITLE_LAGS, _TITLE_DECAY = 20, 0.9
_COVISIT_FLOOR = 1e-3
_RATING_PRIOR = 5.0
UNKNOWN_AGE = 15.0

# Columns of the features that depend on the item alone; the first three are the log shares.
ITEM_LOG_COUNT, ITEM_NEVER_SEEN, ITEM_MEAN, ITEM_IDLE, ITEM_BUCKET_FADE, ITEM_COVISIT_NORM, ITEM_AGE = range(3, 10)
ITEM_FEATURES = 10
_ITEM_LOGS = 6
# Columns of the features that are logarithms; the transitions come first.
_LOG_BUCKET = TRANSITIONS
_LOG_COVISITED = _LOG_BUCKET + 1
_LOG_STRONGEST = _LOG_COVISITED + COVISITS
_LOG_AGE = _LOG_STRONGEST + 1
_LOGS = _LOG_AGE + 1


@compiled
def profile_ratios(
    history: NDArray[np.int32],
    genres: NDArray[np.int16],
    years: NDArray[np.int16],
    genre_shares: NDArray[np.float64],
    year_shares: NDArray[np.float64],
    genre_ratios: NDArray[np.float64],
    year_ratios: NDArray[np.float64],
) -> None:
    """Compare the user's decayed genre and release-year profiles with everyone's, as log ratios.

    Args:
        history: [H] items, newest first.
        genres: [N, G] genre ids, 0 where fewer.
        years: [N] release years, 0 if unknown.
        genre_shares: [MAX_GENRES] share of recent events on items of each genre.
        year_shares: [YEARS] smoothed share of recent events by release year.
        genre_ratios: [PROFILES, MAX_GENRES] out.
        year_ratios: [PROFILES, YEARS] out, the first row untouched.
    """
    for profile in range(PROFILES):
        genre_sums = np.zeros(len(genre_shares))
        year_sums = np.zeros(YEARS)
        # The years have no use for the shortest profile.
        dated = profile > 0
        genre_total, year_total = 0.0, 0.0
        weight = 1.0
        for item in history[: _PROFILE_LAGS[profile]]:
            if genres[item, 0] > 0:
                genre_total += weight
            for genre in genres[item]:
                if genre == 0:
                    break
                genre_sums[genre] += weight
            if dated and years[item] > 0:
                year_sums[min(max(years[item] - FIRST_YEAR, 0), YEARS - 1)] += weight
                year_total += weight
            weight *= _PROFILE_DECAYS[profile]
        absent = np.log(_PROFILE_PRIOR / (genre_total + _PROFILE_PRIOR))
        for genre in range(len(genre_shares)):
            if genre_sums[genre] == 0.0:
                genre_ratios[profile, genre] = absent
                continue
            share = genre_shares[genre] + _SHARE_FLOOR
            own = (genre_sums[genre] + _PROFILE_PRIOR * share) / (genre_total + _PROFILE_PRIOR)
            genre_ratios[profile, genre] = np.log(own / share)
        if not dated:
            continue
        smooth_years(year_sums)
        absent = np.log(_PROFILE_PRIOR / (year_total + _PROFILE_PRIOR))
        for year in range(YEARS):
            if year_sums[year] < _ABSENT:
                year_ratios[profile, year] = absent
                continue
            share = year_shares[year] + _SHARE_FLOOR
            own = (year_sums[year] + _PROFILE_PRIOR * share) / (year_total + _PROFILE_PRIOR)
            year_ratios[profile, year] = np.log(own / share)


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


@compiled
def decay_counts(
    now_clock: int,
    counts: NDArray[np.int64],
    decayed: NDArray[np.float32],
    last_clock: NDArray[np.int64],
    decays: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Return [N, D] the decayed counts as of now; arguments as `compute_item_features`."""
    out = np.zeros(decayed.shape, np.float32)
    for item in range(len(counts)):
        if counts[item] > 0:
            for decay in range(len(decays)):
                past = now_clock - last_clock[item]
                out[item, decay] = decayed[item, decay] * np.exp(-past / decays[decay])
    return out


@compiled
def compute_item_features(
    now_clock: int,
    mean_value: float,
    counts: NDArray[np.int64],
    recent: NDArray[np.float32],
    value_sums: NDArray[np.float64],
    last_clock: NDArray[np.int64],
    first_clock: NDArray[np.int64],
    decayed_totals: NDArray[np.float64],
    bucket_decay: float,
    catalogue_size: int,
    out: NDArray[np.float32],
) -> None:
    """Fill `out` [N, ITEM_FEATURES] with what depends on the item alone, for all items at once.

    Columns: log shares at the three decays, log count, never seen, mean rating, log events since the last one, the
    fading of counts by history length, the normalisation of co-visitation, and log events since the first one.

    Args:
        now_clock: The statistics' clock.
        mean_value: Everyone's mean rating.
        counts: [N] all-time counts.
        recent: [N, 3] decayed counts as of now.
        value_sums: [N] sums of ratings.
        last_clock: [N] clock of the last event.
        first_clock: [N] clock of the first event.
        decayed_totals: [3] sums of the decayed counts over all items, now.
        bucket_decay: Time constant of the counts by history length.
        catalogue_size: Items known.
        out: See above.
    """
    # Never-seen items, often most of a catalogue, are all alike: index 0 is never seen, and its row stands for theirs.
    seen = np.append(np.zeros(1, np.int64), np.flatnonzero(counts[1:]) + 1)
    floor = 1.0 / (catalogue_size + 1.0)
    scales = 1.0 / (decayed_totals + 1.0)
    logs = np.empty((len(seen), _ITEM_LOGS), np.float32)
    for place in range(len(seen)):
        item = seen[place]
        for decay in range(3):
            logs[place, decay] = (recent[item, decay] + floor) * scales[decay]
        logs[place, 3] = 1.0 + counts[item]
        logs[place, 4] = 1.0 + (now_clock - last_clock[item])
        logs[place, 5] = 1.0 + (now_clock - first_clock[item] if counts[item] > 0 else 0.0)
    flat = logs.reshape(len(seen) * _ITEM_LOGS)
    log_all(flat, np.empty(len(flat), np.float32))
    for place in range(len(seen)):
        item = seen[place]
        row = out[item]
        for decay in range(3):
            row[decay] = logs[place, decay]
        row[ITEM_LOG_COUNT], row[ITEM_IDLE], row[ITEM_AGE] = logs[place, 3], logs[place, 4], logs[place, 5]
        row[ITEM_NEVER_SEEN] = 1.0 if counts[item] == 0 else 0.0
        row[ITEM_MEAN] = (value_sums[item] - counts[item] * mean_value) / (counts[item] + _RATING_PRIOR)
        row[ITEM_BUCKET_FADE] = np.exp(-(now_clock - last_clock[item]) / bucket_decay)
        row[ITEM_COVISIT_NORM] = 1.0 / np.sqrt(counts[item] + COVISIT_PRIOR)
    for item in range(1, len(counts)):
        if counts[item] == 0:
            out[item] = out[0]


@compiled
def compute_features(
    pool: NDArray[np.int32],
    size: int,
    history: NDArray[np.int32],
    bucket: int,
    now_year: float,
    evidence: NDArray[np.float32],
    back_off: NDArray[np.float64],
    totals: NDArray[np.float64],
    popularity: NDArray[np.float32],
    by_history: NDArray[np.float32],
    item_features: NDArray[np.float32],
    bucket_total: float,
    genres: NDArray[np.int16],
    years: NDArray[np.int16],
    genre_ratios: NDArray[np.float64],
    year_ratios: NDArray[np.float64],
    tokens: NDArray[np.int32],
    token_idf: NDArray[np.float32],
    token_weights: NDArray[np.float32],
    classes: NDArray[np.int8],
    class_ratios: NDArray[np.float64],
    genre_sets: NDArray[np.int32],
    set_ratios: NDArray[np.float32],
    eras: NDArray[np.int16],
    era_ratios: NDArray[np.float64],
    first_rates: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Fill `out` [size, F] with the features of `pool[:size]`.

    Most arguments are the arrays of `Popularity`, `PopularityView`, `ContentView`, `Catalogue` and the outputs of
    `gather_evidence`, `profile_ratios` and `profile_kernel`; `token_weights` [T] is scratch, all zero before
    and after; `popularity` [N] the recent shares.
    """
    titled = min(len(history), _TITLE_LAGS)
    for lag in range(titled):
        for token in tokens[history[lag]]:
            if token == 0:
                break
            token_weights[token] = max(token_weights[token], _TITLE_DECAY**lag)
    logs = np.empty((size, _LOGS), np.float32)
    by_bucket = by_history[:, bucket]
    _log_arguments(
        pool[:size],
        evidence,
        back_off,
        totals,
        popularity,
        by_bucket,
        bucket_total,
        item_features,
        years,
        now_year,
        logs,
    )
    flat = logs.reshape(size * _LOGS)
    log_all(flat, np.empty(len(flat), np.float32))
    for place in range(size):
        item = pool[place]
        row, own = out[place], item_features[item]
        for column in range(TRANSITIONS):
            row[column] = logs[place, column]
        for decay in range(3):
            row[5 + decay] = own[decay]
        row[8] = logs[place, _LOG_BUCKET]
        row[9] = own[ITEM_LOG_COUNT]
        for kernel in range(COVISITS):
            row[10 + kernel] = logs[place, _LOG_COVISITED + kernel]
        _profile_features(genres[item], years[item], genre_ratios, year_ratios, row)
        row[18] = 0.0
        for token in tokens[item]:
            if token == 0:
                break
            row[18] += token_weights[token] * token_idf[token]
        row[19] = own[ITEM_NEVER_SEEN]
        row[20] = logs[place, _LOG_AGE]
        row[21] = 1.0 if years[item] > now_year + 1.0 else 0.0
        row[22] = own[ITEM_MEAN]
        row[23] = own[ITEM_IDLE]
        row[24] = evidence[item, LIFTS]
        row[25] = evidence[item, LIFTS + 1]
        row[26] = logs[place, _LOG_STRONGEST]
        row[27] = class_ratios[0, classes[item]]
        row[28] = class_ratios[1, classes[item]]
        row[29] = set_ratios[genre_sets[item]]
        row[30] = own[ITEM_AGE]
        row[31] = era_ratios[eras[item]]
        if own[ITEM_NEVER_SEEN] > 0.0:
            row[32] = first_rates[item]
            row[33] = row[15]
            row[34] = row[16]
            row[35] = row[31]
        else:
            row[32] = row[33] = row[34] = row[35] = 0.0
    for lag in range(titled):
        for token in tokens[history[lag]]:
            token_weights[token] = 0.0


@compiled
def _log_arguments(
    pool: NDArray[np.int32],
    evidence: NDArray[np.float32],
    back_off: NDArray[np.float64],
    totals: NDArray[np.float64],
    popularity: NDArray[np.float32],
    by_bucket: NDArray[np.float32],
    bucket_total: float,
    item_features: NDArray[np.float32],
    years: NDArray[np.int16],
    now_year: float,
    out: NDArray[np.float32],
) -> None:
    """Fill `out` [P, _LOGS] with the numbers of which features are the logarithms; arguments as `compute_features`."""
    # Without a history the transitions are all back-off.
    factors, shares = np.zeros(TRANSITIONS), np.ones(TRANSITIONS)
    for kernel in range(TRANSITIONS):
        if totals[kernel] > 0.0:
            factors[kernel] = 1.0 / totals[kernel]
            shares[kernel] = back_off[kernel] / totals[kernel]
    covisit_total = totals[TRANSITIONS] if totals[TRANSITIONS] > 0.0 else 1.0
    for place in range(len(pool)):
        item = pool[place]
        row, found, own = out[place], evidence[item], item_features[item]
        share = popularity[item]
        for kernel in range(TRANSITIONS):
            row[kernel] = found[kernel] * factors[kernel] + share * shares[kernel]
        row[_LOG_BUCKET] = (by_bucket[item] * own[ITEM_BUCKET_FADE] + 10.0 * share) / (bucket_total + 10.0)
        norm = own[ITEM_COVISIT_NORM] / covisit_total
        for kernel in range(COVISITS):
            row[_LOG_COVISITED + kernel] = _COVISIT_FLOOR + found[TRANSITIONS + kernel] * norm
        row[_LOG_STRONGEST] = found[STRONGEST] + share
        row[_LOG_AGE] = 1.0 + (max(now_year - years[item], 0.0) if years[item] > 0 else UNKNOWN_AGE)


@compiled
def _profile_features(
    genres: NDArray[np.int16],
    year: int,
    genre_ratios: NDArray[np.float64],
    year_ratios: NDArray[np.float64],
    row: NDArray[np.float32],
) -> None:
    """Fill an item's features from the profiles of genres and release years.

    Args:
        genres: [G] of the item.
        year: Its year of release, 0 if unknown.
        genre_ratios: [PROFILES, MAX_GENRES].
        year_ratios: [PROFILES, YEARS].
        row: [F] out.
    """
    last, recent, long, carried = 0.0, 0.0, 0.0, 0
    for genre in genres:
        if genre == 0:
            break
        carried += 1
        last += genre_ratios[0, genre]
        recent += genre_ratios[1, genre]
        long += genre_ratios[2, genre]
    norm = 1.0 / np.sqrt(max(carried, 1))
    row[13], row[14], row[15] = last * norm, recent * norm, long * norm
    row[16] = row[17] = 0.0
    if year > 0:
        place = min(max(year - FIRST_YEAR, 0), YEARS - 1)
        row[16], row[17] = year_ratios[1, place], year_ratios[2, place]
