"""All steps from one user's history to the candidates, in one call: each call costs as much as a short step."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled
from streams.ranking.evidence_kernel import EVIDENCE, gather_evidence
from streams.ranking.feature_kernel import compute_features
from streams.ranking.fusion_kernel import weights_in_context
from streams.ranking.history_kernel import EVIDENCE_LAGS, LINK_KERNELS, TRANSITIONS, WORTHS, weigh_history
from streams.ranking.linear_kernel import linear_cut
from streams.ranking.marks_kernel import block, forget
from streams.ranking.pool_kernel import POOL_SIZE, fill_pool
from streams.ranking.profile_kernel import YEARS
from streams.ranking.taste_kernel import CLASS_PROFILES, SET_COLUMNS, TASTES, YEAR_COLUMNS, compare_taste, taste_of
from streams.ranking.unseen_kernel import POOL_UNSEEN, search_unseen

_EPOCH_YEAR, _YEAR_MS = 1970, 365.2425 * 86_400_000


@compiled
def find_candidates(
    history: NDArray[np.int32],
    values: NDArray[np.float32],
    ts_ms: NDArray[np.int64],
    touched: NDArray[np.int32],
    forced: NDArray[np.int32],
    now_ms: int,
    mean_value: float,
    bucket: int,
    weights: NDArray[np.float32],
    context_weights: NDArray[np.float32],
    searched: NDArray[np.int64],
    clock: int,
    ids: NDArray[np.int32],
    links: NDArray[np.float32],
    lengths: NDArray[np.int32],
    sums: NDArray[np.float64],
    landmarks: NDArray[np.float64],
    counts: NDArray[np.int64],
    by_history: NDArray[np.float32],
    bucket_totals: NDArray[np.float64],
    items: NDArray[np.float32],
    shares: NDArray[np.float32],
    norms: NDArray[np.float32],
    set_genres: NDArray[np.int16],
    set_norms: NDArray[np.float64],
    genre_shares: NDArray[np.float64],
    year_shares: NDArray[np.float64],
    class_shares: NDArray[np.float64],
    era_shares: NDArray[np.float64],
    set_shares: NDArray[np.float64],
    unseen: NDArray[np.int32],
    unseen_sets: NDArray[np.int32],
    unseen_eras: NDArray[np.int16],
    unseen_years: NDArray[np.int16],
    unseen_rates: NDArray[np.float32],
    newest: NDArray[np.int32],
    recent: NDArray[np.int32],
    of_history: NDArray[np.int32],
    ever: NDArray[np.int32],
    available: NDArray[np.bool_],
    catalogue_size: int,
    tokens: NDArray[np.int32],
    token_idf: NDArray[np.float32],
    token_offsets: NDArray[np.int32],
    token_carriers: NDArray[np.int32],
    token_weights: NDArray[np.float32],
    marks: NDArray[np.uint8],
    places: NDArray[np.int32],
    scores: NDArray[np.float32],
    context: NDArray[np.float32],
    candidates: NDArray[np.int32],
    features: NDArray[np.float32],
    linear: NDArray[np.float32],
) -> None:
    """Write the candidates of one user: `candidates` [C] and `features` [C, F], zero before, and `linear` [C].

    Of the user: `history` [H] items, newest first, with their `values` and `ts_ms`; the items `touched`; items `forced`
    to be candidates unless touched or not available; `mean_value`; `bucket`, that of the history's length, whose
    popular items are `of_history`; `context` [U], whose last TASTES entries are filled in. The linear fusion is
    `weights` [F] and `context_weights` [U, F]; `searched` are the places in the features of what `search_unseen` knows.

    The others are the arrays of `ItemStatistics` (`ids` [N, K], `links` [N, K, S], `lengths` [N], `sums` [N, S] and
    `landmarks` [N] are its rows), `PopularityView`, `ContentView` and `Catalogue`; all that have a place for each item
    have as many. `token_weights` [T], `marks`, `places` and `scores` [N] are scratch, all zero before and after.
    """
    taste_of(history, counts, context[-TASTES:])
    effective = weights_in_context(weights, context_weights, context)
    block(touched, marks)

    classes, eras = np.empty((CLASS_PROFILES, len(class_shares))), np.empty(len(era_shares), np.float32)
    sets, years = np.empty((len(set_shares), SET_COLUMNS), np.float32), np.empty((YEARS + 1, YEAR_COLUMNS), np.float32)
    everyone = (genre_shares, year_shares, class_shares, era_shares, set_shares)
    now_year = _EPOCH_YEAR + now_ms / _YEAR_MS
    compare_taste(history, now_year, items, set_genres, set_norms, *everyone, classes, eras, sets, years)
    new, of_new = np.empty(POOL_UNSEEN, np.int32), (unseen, unseen_sets, unseen_eras, unseen_years, unseen_rates)
    new = new[: search_unseen(effective[searched], sets, eras, years, *of_new, marks, new)]

    factors, worths = np.empty((EVIDENCE_LAGS, LINK_KERNELS), np.float32), np.empty((EVIDENCE_LAGS, WORTHS))
    back_off, totals = np.empty(TRANSITIONS), np.empty(LINK_KERNELS)
    of_rows = (sums, landmarks, counts)
    lags = weigh_history(history, values, ts_ms, now_ms, mean_value, clock, *of_rows, factors, worths, back_off, totals)
    pool, rows, titles = np.empty(POOL_SIZE, np.int32), (ids, links, lengths), (token_offsets, token_carriers)
    size = fill_pool(
        history,
        lags,
        *rows,
        factors,
        back_off,
        totals,
        shares,
        norms,
        available,
        forced,
        new,
        newest,
        recent,
        of_history,
        ever,
        tokens,
        *titles,
        catalogue_size,
        len(candidates),
        marks,
        scores,
        pool,
    )
    pool = pool[:size]

    evidence, pool_features = np.empty((size, EVIDENCE), np.float32), np.empty((size, len(weights)), np.float32)
    gather_evidence(pool, history, lags, *rows, factors, worths, shares, places, evidence)
    tables = (classes, eras, sets, years)
    compute_features(
        pool,
        history,
        bucket,
        evidence,
        back_off,
        totals,
        by_history,
        bucket_totals[bucket],
        items,
        tokens,
        token_idf,
        token_weights,
        *tables,
        pool_features,
    )
    linear_cut(pool, pool_features, effective, forced, newest, new, marks, candidates, features, linear)
    forget(pool, marks)
    forget(touched, marks)
