"""Kernels over all items at once, behind `PopularityView` and `ContentView`."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled
from millrace.streams.ranking.item_kernel import ITEM_BUCKET_FADE
from millrace.streams.ranking.selection_kernel import ordered

# Weight of recent shares beside the counts by history length.
_HISTORY_PRIOR = 0.1


@compiled
def used_places(counts: NDArray[np.int64], known: NDArray[np.bool_]) -> int:
    """Return the length without trailing items that are unknown and have no events; at least 1."""
    size = len(counts)
    while size > 1 and counts[size - 1] == 0 and not known[size - 1]:
        size -= 1
    return size


@compiled
def weigh_by_history(
    by_history: NDArray[np.float32],
    totals: NDArray[np.float64],
    items: NDArray[np.float32],
    shares: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return [B, N] how popular each item is among users with a history of about one length.

    Args:
        by_history: [N, B] counts as of the items' last events.
        totals: [B] sums of the counts over all items, now.
        items: [N, ITEM_COLUMNS], see `fill_items`.
        shares: [N] recent share of each item.
    """
    size, buckets = by_history.shape
    out, priors = np.empty((buckets, size), np.float32), np.empty(buckets, np.float32)
    for bucket in range(buckets):
        priors[bucket] = max(totals[bucket], 1.0) * _HISTORY_PRIOR
    for item in range(size):
        fade, share = items[item, ITEM_BUCKET_FADE], shares[item]
        for bucket in range(buckets):
            out[bucket, item] = by_history[item, bucket] * fade + priors[bucket] * share
    return out


@compiled
def share_genres(
    set_shares: NDArray[np.float64], set_genres: NDArray[np.int16], genre_shares: NDArray[np.float64]
) -> None:
    """Sum the shares [S] of sets of genres, which are [S, G] with 0 where fewer, by genre [MAX_GENRES]."""
    genre_shares[:] = 0.0
    for place in range(len(set_shares)):
        for genre in set_genres[place]:
            if genre == 0:
                break
            genre_shares[genre] += set_shares[place]


@compiled
def tally_shares(
    shares: NDArray[np.float32],
    eras: NDArray[np.int16],
    genre_sets: NDArray[np.int32],
    year_places: NDArray[np.int16],
    era_shares: NDArray[np.float64],
    set_shares: NDArray[np.float64],
    year_shares: NDArray[np.float64],
) -> None:
    """Sum the recent shares of items by three kinds of classes at once, each as a part of the sum over all items.

    Args:
        shares: [N].
        eras: [N] places in `era_shares`.
        genre_sets: [N] places in `set_shares`.
        year_places: [N] places in `year_shares`.
        era_shares: Out.
        set_shares: Out.
        year_shares: Out.
    """
    era_shares[:] = 0.0
    set_shares[:] = 0.0
    year_shares[:] = 0.0
    total = 0.0
    for item in range(len(shares)):
        share = shares[item]
        total += share
        era_shares[np.uint32(eras[item])] += share
        set_shares[np.uint32(genre_sets[item])] += share
        year_shares[np.uint32(year_places[item])] += share
    whole = total if total > 0.0 else 1.0
    era_shares /= whole
    set_shares /= whole
    year_shares /= whole


@compiled
def tally_firsts(
    latest: NDArray[np.float32],
    firsts: NDArray[np.float32],
    unseen: NDArray[np.bool_],
    eras: NDArray[np.int32],
    year_places: NDArray[np.int16],
    ages: NDArray[np.int32],
    sets: NDArray[np.int32],
    by_era: NDArray[np.float64],
    by_age: NDArray[np.float64],
    by_set: NDArray[np.float64],
) -> None:
    """Sum first events and never-seen items by three kinds of classes in one pass: additions wait for each other.

    Args:
        latest: [N] what an item's first event is worth to its era.
        firsts: [N] what it is worth to its age and its set of genres.
        unseen: [N] known items without events.
        eras: [N] place of each item in `by_era`.
        year_places: [N] place of each item in `ages`.
        ages: [Y] places in `by_age` by year of release.
        sets: [N] place of each item in `by_set`.
        by_era: [.., 2] out, zero before: sums of first events, numbers of never-seen items.
        by_age: [.., 2] the same.
        by_set: [.., 2] the same.
    """
    for item in range(len(latest)):
        left = np.float64(unseen[item])
        era, age, own = by_era[np.uint32(eras[item])], by_age[ages[year_places[item]]], by_set[np.uint32(sets[item])]
        era[0] += latest[item]
        era[1] += left
        age[0] += firsts[item]
        age[1] += left
        own[0] += firsts[item]
        own[1] += left


@compiled
def rate_genres(
    met: NDArray[np.float64],
    left: NDArray[np.float64],
    set_genres: NDArray[np.int16],
    genres: int,
    rate: float,
    prior: float,
) -> NDArray[np.float64]:
    """Return [S] the mean of the log rates of first events of the genres of each set; 0 without genres.

    Args:
        met: [S] first events by set of genres.
        left: [S] never-seen items by set.
        set_genres: [S, G] genre ids, 0 where fewer.
        genres: Genre ids are below this.
        rate: First events per never-seen item over all.
        prior: Items of that rate that every genre has beside its own.
    """
    met_by_genre, left_by_genre = np.full(genres, prior * rate), np.full(genres, prior)
    for place in range(len(set_genres)):
        for genre in set_genres[place]:
            met_by_genre[genre] += met[place]
            left_by_genre[genre] += left[place]
    by_genre = np.log(met_by_genre / left_by_genre / rate)
    out = np.zeros(len(set_genres))
    for place in range(len(set_genres)):
        carried, total = 0, 0.0
        for genre in set_genres[place]:
            if genre > 0:
                carried += 1
                total += by_genre[genre]
        out[place] = total / max(carried, 1)
    return out


@compiled
def rate_items(
    by_era: NDArray[np.float64],
    by_age: NDArray[np.float64],
    by_set: NDArray[np.float64],
    eras: NDArray[np.int32],
    year_places: NDArray[np.int16],
    ages: NDArray[np.int32],
    sets: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Return [N] the sum of the log rates of an item's classes; `eras` and those behind it as `tally_firsts`."""
    out = np.empty(len(eras), np.float32)
    for item in range(len(eras)):
        out[item] = by_era[eras[item]] + by_age[ages[year_places[item]]] + by_set[sets[item]]
    return out


@compiled
def rate_keys(rates: NDArray[np.float32], wanted: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Return keys of the wanted items that sort by rate, highest first, then by index; their lower half is the item.

    Args:
        rates: [N], contiguous.
        wanted: [N].
    """
    bits, keys, size = rates.view(np.uint32), np.empty(len(rates), np.uint64), 0
    for item in range(len(rates)):
        if wanted[item]:
            falling = np.uint64(0xFFFFFFFF) - ordered(bits[item])
            keys[size] = (falling << np.uint64(32)) | np.uint64(item)
            size += 1
    return keys[:size]
