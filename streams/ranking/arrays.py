"""The arrays that the kernels of the list step share, grouped into one argument each.

N is the number of item indexes there is room for, S of sets of genres, T of title words.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class User(NamedTuple):
    """A user at the time of a request.

    Args:
        items: [H] int32 items of the history, newest first.
        values: [H] float32 ratings of the history.
        ts_ms: [H] int64 event times of the history.
        touched: [<= N] int32 every item the user has acted on.
        proposals: [P] int32 items proposed by the network.
        now_ms: Time of the request.
        clock: Events that the statistics have learned by then.
        events: Number of the user's events.
        bucket: Class of that number, see `history_bucket`.
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
        weights: [F] float32.
        by_context: [U, F] float32 additions to the weights per unit of each context entry.
    """

    weights: NDArray[np.float32]
    by_context: NDArray[np.float32]


class LinkRows(NamedTuple):
    """The rows of the item statistics, see `millrace.streams.statistics.row_kernels`.

    Args:
        ids: [N, K] int32 neighbours.
        links: [N, K, STATISTICS] float32 numbers of each neighbour.
        lengths: [N] int32 neighbours in use.
        sums: [N, STATISTICS] float64 totals, evicted neighbours included.
        landmarks: [N] float64 clock to which timed transitions are scaled.
    """

    ids: NDArray[np.int32]
    links: NDArray[np.float32]
    lengths: NDArray[np.int32]
    sums: NDArray[np.float64]
    landmarks: NDArray[np.float64]


class ItemArrays(NamedTuple):
    """Every item's numbers.

    Args:
        lines: [N, ITEM_COLUMNS] float32, see `item_kernel`.
        shares: [N] float32 recent shares.
        covisit_norms: [N] float32 factor of each item's co-visitation.
        counts: [N] int64 all-time counts.
        by_history: [N, HISTORY_BUCKETS] float32 counts by length of the user's history.
        bucket_totals: [HISTORY_BUCKETS] float64 sums of these counts over all items.
        available: [N] bool, may be recommended.
        known: Number of items in the catalogue.
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
    """Items without events, highest rate of first events first.

    Args:
        items: [M] int32.
        sets: [M] int32 set of genres of each.
        eras: [M] int16 part of the catalogue.
        years: [M] int16 year of release, counted from FIRST_YEAR; YEARS where unknown.
        rates: [M] float32 log rate of first events, never increasing.
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
        idf: [T] float32 weight of sharing a word.
        offsets: [T + 1] int32 where the items of each word begin in `carriers`.
        carriers: int32 items of all words, word by word.
        relatives: [N, RELATIVES] int32 cache: items whose titles share rare words with the item's.
        related: [N] int8 1 + number of `relatives`, 0 where they are not computed yet.
    """

    tokens: NDArray[np.int32]
    idf: NDArray[np.float32]
    offsets: NDArray[np.int32]
    carriers: NDArray[np.int32]
    relatives: NDArray[np.int32]
    related: NDArray[np.int8]


class Scratch(NamedTuple):
    """Memory that is all zeros before and after each call.

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
    """A user's picks compared with everyone's, as tables over classes of items; see `taste_kernel`.

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
    """Weights of the entries of a history in the kernels over their links, see `history_kernel.weigh_history`.

    Args:
        factors: [lags, LINK_KERNELS] float32 factors of the links of each entry.
        worths: [lags, WORTHS] float64 weights of the two lifts, and the present worth of a timed transition.
        back_off: [TRANSITIONS] float64 weight of popularity.
        totals: [LINK_KERNELS] float64 sums of the weights.
    """

    factors: NDArray[np.float32]
    worths: NDArray[np.float64]
    back_off: NDArray[np.float64]
    totals: NDArray[np.float64]
