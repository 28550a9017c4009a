"""Computing the features of the pooled items; see `columns` for their names and places."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled
from millrace.streams.ranking import columns
from millrace.streams.ranking.arrays import HistoryWeights, ItemArrays, Taste, TitleWords, User
from millrace.streams.ranking.evidence_kernel import SESSION_LIFTS, STRONGEST, TIMED_LIFTS
from millrace.streams.ranking.history_kernel import COVISITS, TRANSITIONS
from millrace.streams.ranking.item_kernel import (
    ITEM_AGE,
    ITEM_BUCKET_FADE,
    ITEM_CLASS,
    ITEM_COLUMNS,
    ITEM_COVISIT_NORM,
    ITEM_ERA,
    ITEM_FIRST_RATE,
    ITEM_IDLE,
    ITEM_LOG_COUNT,
    ITEM_MEAN,
    ITEM_SET,
    ITEM_SHARE,
    ITEM_YEAR,
)
from millrace.streams.ranking.logarithm_kernel import log_all
from millrace.streams.ranking.taste_kernel import (
    SET_EXACT,
    SET_LAST,
    SET_LONG,
    SET_RECENT,
    YEAR_AGE,
    YEAR_LONG,
    YEAR_RECENT,
    YEAR_UNRELEASED,
)
from millrace.streams.statistics.popularity import DECAY_EVENTS

_TITLE_LAGS, _TITLE_DECAY = 20, 0.9
_COVISIT_FLOOR = 1e-3
# Columns of the features that are logarithms; the transitions come first.
_LOG_BUCKET = TRANSITIONS
_LOG_COVISITED = _LOG_BUCKET + 1
_LOG_STRONGEST = _LOG_COVISITED + COVISITS
_LOGS = _LOG_STRONGEST + 1
# An item's line begins with the log shares at these many decays.
_DECAYS = len(DECAY_EVENTS)


@compiled
def compute_features(
    pool: NDArray[np.int32],
    user: User,
    evidence: NDArray[np.float32],
    weighed: HistoryWeights,
    items: ItemArrays,
    titles: TitleWords,
    taste: Taste,
    token_weights: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return [P, F] the features of the pool.

    Args:
        pool: [P] items.
        user: Whose history.
        evidence: [P, EVIDENCE] as of `gather_evidence`.
        weighed: Weights of the history's entries.
        items: Numbers of all items.
        titles: Their words.
        taste: The user's tables.
        token_weights: [T] scratch, all zero before and after.
    """
    size, tokens = len(pool), titles.tokens
    lines, of_titles = np.empty((size, ITEM_COLUMNS), np.float32), np.empty(size, np.float32)
    by_bucket, logs = np.empty(size, np.float32), np.empty((size, _LOGS), np.float32)
    out = np.empty((size, columns.FEATURES), np.float32)
    _weigh_titles(user.items, tokens, titles.idf, token_weights)
    _bring_together(pool, items, user.bucket, tokens, token_weights, lines, by_bucket, of_titles)
    _log_arguments(lines, evidence, weighed, by_bucket, items.bucket_totals[user.bucket], logs)
    flat = logs.reshape(size * _LOGS)
    log_all(flat, np.empty(len(flat), np.float32))
    for place in range(size):
        row, line, found = out[place], lines[place], evidence[place]
        for kernel in range(TRANSITIONS):
            row[columns.TRANSITION_SHORT + kernel] = logs[place, kernel]
        for decay in range(_DECAYS):
            row[columns.POPULAR_300 + decay] = line[decay]
        row[columns.POPULAR_HISTORY] = logs[place, _LOG_BUCKET]
        row[columns.POPULAR_EVER] = line[ITEM_LOG_COUNT]
        for kernel in range(COVISITS):
            row[columns.COVISITED + kernel] = logs[place, _LOG_COVISITED + kernel]
        row[columns.TITLE_WORDS] = of_titles[place]
        row[columns.MEAN_RATING] = line[ITEM_MEAN]
        row[columns.IDLE_EVENTS] = line[ITEM_IDLE]
        row[columns.LIFT_SESSION] = found[SESSION_LIFTS]
        row[columns.LIFT_TIMED] = found[TIMED_LIFTS]
        row[columns.STRONGEST_LINK] = logs[place, _LOG_STRONGEST]
        row[columns.STREAM_AGE] = line[ITEM_AGE]
        _content_features(line, taste, row)
    _forget_titles(user.items, tokens, token_weights)
    return out


@compiled
def _bring_together(
    pool: NDArray[np.int32],
    items: ItemArrays,
    bucket: int,
    tokens: NDArray[np.int32],
    token_weights: NDArray[np.float32],
    lines: NDArray[np.float32],
    by_bucket: NDArray[np.float32],
    of_titles: NDArray[np.float32],
) -> None:
    """Copy the numbers of the pooled items: in a loop that does nothing else, cache misses overlap.

    Args:
        pool: [P] items.
        items: Numbers of all items.
        bucket: Class of the user's history length.
        tokens: [N, W] words of the titles.
        token_weights: [T] weight of each word; that of word 0, the padding, is 0.
        lines: [P, ITEM_COLUMNS] out.
        by_bucket: [P] out: counts among users with a history of this length.
        of_titles: [P] out: sums of the words' weights.
    """
    known, by_history = items.lines, items.by_history
    for place in range(len(pool)):
        item, weight = np.uint32(pool[place]), np.float32(0.0)
        for column in range(ITEM_COLUMNS):
            lines[place, column] = known[item, column]
        # All words: where they end is unpredictable.
        for word in range(tokens.shape[1]):
            weight += token_weights[np.uint32(tokens[item, word])]
        by_bucket[place], of_titles[place] = by_history[item, bucket], weight


@compiled
def _content_features(line: NDArray[np.float32], taste: Taste, row: NDArray[np.float32]) -> None:
    """Fill the features [F] that an item's line leads to in the user's tables."""
    popularity, era = np.uint32(line[ITEM_CLASS]), np.uint32(line[ITEM_ERA])
    by_set, by_year = taste.sets[np.uint32(line[ITEM_SET])], taste.years[np.uint32(line[ITEM_YEAR])]
    row[columns.GENRE_LAST] = by_set[SET_LAST]
    row[columns.GENRE_RECENT] = by_set[SET_RECENT]
    row[columns.GENRE_LONG] = by_set[SET_LONG]
    row[columns.YEAR_RECENT] = by_year[YEAR_RECENT]
    row[columns.YEAR_LONG] = by_year[YEAR_LONG]
    row[columns.RELEASE_AGE] = by_year[YEAR_AGE]
    row[columns.UNRELEASED] = by_year[YEAR_UNRELEASED]
    row[columns.OBSCURITY_RECENT] = taste.classes[0, popularity]
    row[columns.OBSCURITY_LONG] = taste.classes[1, popularity]
    row[columns.GENRE_SET] = by_set[SET_EXACT]
    row[columns.CATALOGUE_ERA] = taste.eras[era]
    never_seen = np.float32(1.0) if popularity == 0 else np.float32(0.0)
    row[columns.NEVER_SEEN] = never_seen
    row[columns.FIRST_RATE] = never_seen * line[ITEM_FIRST_RATE]
    row[columns.UNSEEN_GENRE] = never_seen * by_set[SET_LONG]
    row[columns.UNSEEN_YEAR] = never_seen * by_year[YEAR_RECENT]
    row[columns.UNSEEN_ERA] = never_seen * taste.eras[era]


@compiled
def _weigh_titles(
    history: NDArray[np.int32],
    tokens: NDArray[np.int32],
    token_idf: NDArray[np.float32],
    token_weights: NDArray[np.float32],
) -> None:
    """Write the weight of each title word of the last items; the latest item with a word counts."""
    for lag in range(min(len(history), _TITLE_LAGS)):
        weight = np.float32(_TITLE_DECAY**lag)
        item = np.uint32(history[lag])
        for word in range(tokens.shape[1]):
            token = np.uint32(tokens[item, word])
            if token == 0:
                break
            if token_weights[token] == 0.0:
                token_weights[token] = weight * token_idf[token]


@compiled
def _forget_titles(history: NDArray[np.int32], tokens: NDArray[np.int32], token_weights: NDArray[np.float32]) -> None:
    for lag in range(min(len(history), _TITLE_LAGS)):
        for word in range(tokens.shape[1]):
            token_weights[tokens[history[lag], word]] = 0.0


@compiled
def _log_arguments(
    lines: NDArray[np.float32],
    evidence: NDArray[np.float32],
    weighed: HistoryWeights,
    by_bucket: NDArray[np.float32],
    bucket_total: float,
    out: NDArray[np.float32],
) -> None:
    """Write the numbers whose logarithms are features.

    Args:
        lines: [P, ITEM_COLUMNS] of the pool.
        evidence: [P, EVIDENCE].
        weighed: Weights of the history's entries.
        by_bucket: [P] float32 counts among users with a history of this length.
        bucket_total: Their sum over all items.
        out: [P, _LOGS] float32 out.
    """
    totals, back_off = weighed.totals, weighed.back_off
    # Without a history the transitions are all back-off.
    factors, shares = np.zeros(TRANSITIONS), np.ones(TRANSITIONS)
    for kernel in range(TRANSITIONS):
        if totals[kernel] > 0.0:
            factors[kernel] = 1.0 / totals[kernel]
            shares[kernel] = back_off[kernel] / totals[kernel]
    covisit_total = totals[TRANSITIONS] if totals[TRANSITIONS] > 0.0 else 1.0
    for place in range(len(lines)):
        share = lines[place, ITEM_SHARE]
        for kernel in range(TRANSITIONS):
            out[place, kernel] = evidence[place, kernel] * factors[kernel] + share * shares[kernel]
        faded = by_bucket[place] * lines[place, ITEM_BUCKET_FADE]
        out[place, _LOG_BUCKET] = (faded + 10.0 * share) / (bucket_total + 10.0)
        norm = lines[place, ITEM_COVISIT_NORM] / covisit_total
        for kernel in range(COVISITS):
            out[place, _LOG_COVISITED + kernel] = _COVISIT_FLOOR + evidence[place, TRANSITIONS + kernel] * norm
        out[place, _LOG_STRONGEST] = evidence[place, STRONGEST] + share
