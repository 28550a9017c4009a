"""Which items without a score of their own suit a user's taste in genres and release years best."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled


@compiled
def best_suited(
    available: NDArray[np.bool_],
    counts: NDArray[np.int64],
    fewer_than: int,
    taken: NDArray[np.uint8],
    genres: NDArray[np.int16],
    years: NDArray[np.int16],
    genre_ratios: NDArray[np.float64],
    year_ratios: NDArray[np.float32],
    first_year: int,
    unknown: float,
    items: NDArray[np.int32],
    affinities: NDArray[np.float64],
) -> int:
    """Find the new items with the largest affinity: mean log ratio of the genres plus that of the release year.

    Args:
        available: [N] bool.
        counts: [N or more] events of each item.
        fewer_than: Items with fewer events are new.
        taken: [N] not 0 for items that are not wanted.
        genres: [N, G] genre ids, 0 behind the last.
        years: [N] release years, 0 if unknown.
        genre_ratios: [MAX_GENRES] log of the user's share of a genre over everyone's.
        year_ratios: [YEARS] the same of release years, from `first_year`.
        first_year: Year of the first entry of `year_ratios`.
        unknown: Stands for what an item does not say.
        items: [K] int32 out, best first; of equal ones the larger index, which came later.
        affinities: [K] out.

    Returns:
        How many were found, at most K.
    """
    size = 0
    for item in range(len(available) - 1, 0, -1):
        if not available[item] or counts[item] >= fewer_than or taken[item] != 0:
            continue
        total, number = 0.0, 0
        for place in range(genres.shape[1]):
            genre = genres[item, place]
            if genre == 0:
                break
            total += genre_ratios[genre]
            number += 1
        affinity = total / number if number > 0 else unknown
        year = years[item]
        affinity += year_ratios[min(max(year - first_year, 0), len(year_ratios) - 1)] if year > 0 else unknown
        if size == len(items):
            if affinity <= affinities[size - 1]:
                continue
        else:
            size += 1
        slot = size - 1
        while slot > 0 and affinities[slot - 1] < affinity:
            affinities[slot] = affinities[slot - 1]
            items[slot] = items[slot - 1]
            slot -= 1
        affinities[slot] = affinity
        items[slot] = item
    return size
