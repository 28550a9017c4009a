"""Sequels and other items whose titles share rare words."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled
from millrace.streams.ranking.arrays import TitleWords

# A word carried by more items than this relates nothing.
_COMMON_WORD = 25
# Relatives of one item, at most.
RELATIVES = 12


@compiled
def post_tokens(
    tokens: NDArray[np.int32], token_items: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Turn the tokens of each item into the items of each token.

    Args:
        tokens: [N, W] token ids (from 1), 0 where fewer.
        token_items: [T] number of items that carry each token.

    Returns:
        offsets: [T + 1] int32, carriers: [sum of `token_items`] int32; those of a token are
            carriers[offsets[token] : offsets[token + 1]], in rising order.
    """
    offsets = np.zeros(len(token_items) + 1, np.int32)
    for token in range(len(token_items)):
        offsets[token + 1] = offsets[token] + token_items[token]
    carriers, ends = np.empty(offsets[-1], np.int32), offsets[:-1].copy()
    for item in range(len(tokens)):
        for token in tokens[item]:
            if token == 0:
                break
            carriers[ends[token]] = item
            ends[token] += 1
    return offsets, carriers


@compiled
def relatives_of(item: int, titles: TitleWords, catalogue_size: int) -> NDArray[np.int32]:
    """Return what `find_relatives` finds; each item's are found once and kept, as titles change with the catalogue."""
    kept: NDArray[np.int32] = titles.relatives[item]
    number = int(titles.related[item]) - 1
    if number < 0:
        number = find_relatives(item, titles.tokens, titles.offsets, titles.carriers, catalogue_size, kept)
        titles.related[item] = number + 1
    return kept[:number]


@compiled
def find_relatives(
    item: int,
    tokens: NDArray[np.int32],
    offsets: NDArray[np.int32],
    carriers: NDArray[np.int32],
    catalogue_size: int,
    out: NDArray[np.int32],
) -> int:
    """Write the items whose titles share rare words with one, closest first; ties go to the lower index.

    Args:
        item: Whose relatives.
        tokens: [N, W] token ids of each item, 0 where fewer.
        offsets: As of `post_tokens`.
        carriers: As of `post_tokens`.
        catalogue_size: Items known.
        out: [RELATIVES] out.

    Returns:
        How many were written.
    """
    others = np.empty(tokens.shape[1] * _COMMON_WORD, np.int32)
    shared = np.zeros(len(others))
    number = 0
    for token in tokens[item]:
        begin, end = offsets[token], offsets[token + 1]
        if token == 0 or end - begin < 2 or end - begin > _COMMON_WORD:
            continue
        rarity = np.log(catalogue_size / (end - begin))
        for other in carriers[begin:end]:
            place = 0
            while place < number and others[place] != other:
                place += 1
            if place == number:
                others[number] = other
                number += 1
            shared[place] += rarity
    return _closest(item, others[:number], shared, out)


@compiled
def _closest(item: int, others: NDArray[np.int32], shared: NDArray[np.float64], out: NDArray[np.int32]) -> int:
    """Write those of `others` that share most, but for `item` itself; return how many were written."""
    scores, size = np.empty(len(out)), 0
    for place in range(len(others)):
        other, score = others[place], shared[place]
        slot = size
        while slot > 0 and (scores[slot - 1] < score or (scores[slot - 1] == score and out[slot - 1] > other)):
            slot -= 1
        if other == item or slot == len(out):
            continue
        size = min(size + 1, len(out))
        for later in range(size - 1, slot, -1):
            scores[later], out[later] = scores[later - 1], out[later - 1]
        scores[slot], out[slot] = score, other
    return size
