"""The arrays that the kernels of the list step share, in groups: one argument in place of many.

N are the item indexes there is room for, S sets of genres, T title words.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class User(NamedTuple):
    """What is known of a user at the time of a request.

    Args:
        items: [H] int32 history, newest first; `values` [H] float32 and `ts_ms` [H] int64 of the same entries.
        values: See items.
        ts_ms: See items.
        touched: [<= N] int32 all items the user has touched.
        proposals: [P] int32 the network's own items for this list.
        now_ms: Time of the request, and `clock` in events that the statistics have learned.
        clock: See now_ms.
        events: How many the user has, and `bucket` the class of their number.
        bucket: See events.
        mean_value: The user's mean rating.
    """

    items: NDArray[np.int32]
    values: NDArray[np.float32]
    ts_ms: NDArray[np.int64]
    touched: NDArray[np.int32]
    proposals: NDArray[np.int32]
    now_ms: int
    clock: int
    events: int
    bucket: int
    mean_value: float


class LinearWeights(NamedTuple):
    """The linear fusion of the cut.

    Args:
        weights: [F] float32; `by_context` [U, F] float32 additions per unit of each context entry.
        by_context: See weights.
    """

    weights: NDArray[np.float32]
    by_context: NDArray[np.float32]


class LinkRows(NamedTuple):
    """The rows of the item statistics, see `millrace.streams.statistics.row_kernels`.

    Args:
        ids: [N, K] int32 neighbours; `links` [N, K, S] float32 what is known of each, of which `lengths` [N] count.
        links: See ids.
        lengths: See ids.
        sums: [N, S] float64 totals; `landmarks` [N] float64 the clock to which what fades is scaled.
        landmarks: See sums.
    """

    ids: NDArray[np.int32]
    links: NDArray[np.float32]
    lengths: NDArray[np.int32]
    sums: NDArray[np.float64]
    landmarks: NDArray[np.float64]


class ItemArrays(NamedTuple):
    """What is known of each item.

    Args:
        lines: [N, ITEM_COLUMNS] float32, see `item_kernel`.
        shares: [N] float32 recent shares.
        covisit_norms: [N] float32 what the co-visitation of each item is multiplied by.
        counts: [N] int64 all-time counts.
        by_history: [N, HISTORY_BUCKETS] float32 counts by length of the user's history.
        bucket_totals: [HISTORY_BUCKETS] float64 everyone's.
        available: [N] bool.
        known: Items in the catalogue.
    """

    lines: NDArray[np.float32]
    shares: NDArray[np.float32]
    covisit_norms: NDArray[np.float32]
    counts: NDArray[np.int64]
    by_history: NDArray[np.float32]
    bucket_totals: NDArray[np.float64]
    available: NDArray[np.bool_]
    known: int


class Everyone(NamedTuple):
    """Shares of everyone's recent events, by class of item.

    Args:
        genres: [MAX_GENRES] float64.
        years: [YEARS] float64, smoothed.
        classes: [POPULARITY_CLASSES] float64.
        eras: [ERAS] float64, smoothed.
        sets: [S] float64.
        set_genres: [S, G] int16 the genres of each set, 0 where fewer.
        set_norms: [S] float64 one over the root of their number.
    """

    genres: NDArray[np.float64]
    years: NDArray[np.float64]
    classes: NDArray[np.float64]
    eras: NDArray[np.float64]
    sets: NDArray[np.float64]
    set_genres: NDArray[np.int16]
    set_norms: NDArray[np.float64]


class UnseenItems(NamedTuple):
    """Items that nobody has touched, highest first rate first.

    Args:
        items: [M] int32.
        sets: [M] int32 their sets of genres; `eras` [M] int16, `years` [M] int16, `rates` [M] float32 of the same.
        eras: See sets.
        years: See sets.
        rates: See sets.
    """

    items: NDArray[np.int32]
    sets: NDArray[np.int32]
    eras: NDArray[np.int16]
    years: NDArray[np.int16]
    rates: NDArray[np.float32]


class ItemLists(NamedTuple):
    """Lists that are the same for everyone.

    Args:
        newest: int32, items with few events, latest arrival first.
        recent: int32, by recent popularity.
        ever: int32, by all-time popularity.
        by_history: [HISTORY_BUCKETS, W] int32, by popularity among users with a history of about one length.
        unavailable: int32, known items that are not available.
    """

    newest: NDArray[np.int32]
    recent: NDArray[np.int32]
    ever: NDArray[np.int32]
    by_history: NDArray[np.int32]
    unavailable: NDArray[np.int32]


class TitleWords(NamedTuple):
    """The words of the titles, see `title_kernel.post_tokens`.

    Args:
        tokens: [N, W] int32 words of each item, 0 where fewer.
        idf: [T] float32 what sharing a word says.
        offsets: [T + 1] int32; `carriers` int32: the items of each word.
        carriers: See offsets.
        relatives: [N, RELATIVES] int32 items whose titles share rare words with one, as far as they were asked for.
        related: [N] int8 1 + how many relatives there are, 0 where nobody has asked for them yet.
    """

    tokens: NDArray[np.int32]
    idf: NDArray[np.float32]
    offsets: NDArray[np.int32]
    carriers: NDArray[np.int32]
    relatives: NDArray[np.int32]
    related: NDArray[np.int8]


class Scratch(NamedTuple):
    """Memory that is all zero before and after each call.

    Args:
        marks: [N] uint8, see `marks_kernel`.
        places: [N] int16.
        scores: [N] float32.
        token_weights: [T] float32.
    """

    marks: NDArray[np.uint8]
    places: NDArray[np.int16]
    scores: NDArray[np.float32]
    token_weights: NDArray[np.float32]


class Taste(NamedTuple):
    """What a user picks beside what everyone picks, as tables over classes of items; see `taste_kernel`.

    Args:
        classes: [CLASS_PROFILES, POPULARITY_CLASSES] float64.
        eras: [ERAS] float32.
        sets: [S, SET_COLUMNS] float32.
        years: [YEARS + 1, YEAR_COLUMNS] float32; the last row is of items of unknown year.
    """

    classes: NDArray[np.float64]
    eras: NDArray[np.float32]
    sets: NDArray[np.float32]
    years: NDArray[np.float32]


class HistoryWeights(NamedTuple):
    """What the entries of a history weigh in the kernels over their links, see `history_kernel.weigh_history`.

    Args:
        factors: [lags, LINK_KERNELS] float32 of the links of each entry.
        worths: [lags, WORTHS] float64 weights of the two lifts, and what timed transitions are worth now.
        back_off: [TRANSITIONS] float64 what is left to popularity.
        totals: [LINK_KERNELS] float64 sums of the weights.
    """

    factors: NDArray[np.float32]
    worths: NDArray[np.float64]
    back_off: NDArray[np.float64]
    totals: NDArray[np.float64]
