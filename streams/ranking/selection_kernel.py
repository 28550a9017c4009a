"""Selecting the largest of many: numbers become unsigned keys that order as they do, ties decided in the lower half."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled

# Keys are sorted into bins by their upper bits: the exponent and a few bits of the mantissa. There is a bin for every
# pattern, so that a number that is none can end up in a wrong place, but never beyond the bins.
_BIN_SHIFT, _BINS = np.uint64(52), 4096
# Masks the half of a key that tells equal numbers apart.
LOWER_HALF = np.uint64(0xFFFFFFFF)


@compiled
def ordered(bits: int) -> np.uint64:
    """Return the bits of a float32 as an unsigned number that orders as the floats do."""
    wide = np.uint64(bits)
    return wide ^ np.uint64(0xFFFFFFFF) if wide >> np.uint64(31) else wide | np.uint64(0x80000000)


@compiled
def unordered(number: int) -> np.uint32:
    """Return the bits of which `ordered` made the number."""
    wide = np.uint64(number)
    return np.uint32(wide ^ np.uint64(0x80000000) if wide >> np.uint64(31) else wide ^ np.uint64(0xFFFFFFFF))


@compiled
def largest(keys: NDArray[np.uint64], size: int, wanted: int) -> None:
    """Move the `wanted` largest of the first `size` keys to the front, in the order they are in; keys are distinct.

    The least of them is found bit by bit, from the highest on: to count all keys above a bound, many at a time, is
    cheaper than the unpredictable branches of a quickselect. The other keys are lost.
    """
    if wanted <= 0 or wanted >= size:
        return
    used, edge = np.uint64(0), np.uint64(0)
    for place in range(size):
        used |= keys[place]
    for bit in range(63, -1, -1):
        tried = edge | (np.uint64(1) << np.uint64(bit))
        if tried & ~used:
            continue
        above = 0
        for place in range(size):
            above += keys[place] >= tried
        if above >= wanted:
            edge = tried
        if above == wanted:
            break
    front = 0
    for place in range(size):
        key = keys[place]
        keys[front] = key
        front += key >= edge


@compiled
def largest_by_bits(keys: NDArray[np.uint64], size: int, wanted: int) -> None:
    """Do as `largest` where the upper half of the keys are the bits of positive floats: far fewer are compared."""
    numbers, edge, above = np.zeros(_BINS, np.int32), np.int64(0), 0
    for place in range(size):
        own = np.int64(keys[place] >> _BIN_SHIFT)
        numbers[own] += 1
        edge = max(edge, own)
    while edge > 0 and above + numbers[edge] < wanted:
        above += numbers[edge]
        edge -= 1
    # Whole bins first, then part of one bin; without branches, which would be unpredictable.
    lower, upper = np.uint64(edge) << _BIN_SHIFT, np.uint64(edge + 1) << _BIN_SHIFT
    front, between = 0, np.empty(numbers[edge] + 1, np.uint64)
    number = 0
    for place in range(size):
        key = keys[place]
        keys[front], between[number] = key, key
        front += key >= upper
        number += (key >= lower) & (key < upper)
    largest(between, number, wanted - front)
    for place in range(wanted - front):
        keys[front + place] = between[place]


@compiled
def falling(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a few hundred distinct keys, largest first: counting how many are larger goes without a branch."""
    out = np.empty(len(keys), np.uint64)
    for place in range(len(keys)):
        key, larger = keys[place], 0
        for other in range(len(keys)):
            larger += keys[other] > key
        out[larger] = key
    return out


def top_items(weights: NDArray[np.float32], wanted: int) -> NDArray[np.int32]:
    """Return the items (from 1) of the `wanted` largest weights, largest first, ties by index.

    Args:
        weights: [N] none below 0, contiguous; index 0 is passed over.
        wanted: At most N - 1.
    """
    # Hundreds of keys, which numpy sorts faster than `falling` does.
    keys = np.sort(_top_keys(weights, wanted))[::-1]
    return (LOWER_HALF - (keys & LOWER_HALF)).astype(np.int32)


@compiled
def _top_keys(weights: NDArray[np.float32], wanted: int) -> NDArray[np.uint64]:
    bits, size = weights.view(np.uint32), len(weights) - 1
    keys = np.empty(size, np.uint64)
    for place in range(size):
        keys[place] = (np.uint64(bits[place + 1]) << np.uint64(32)) | (LOWER_HALF - np.uint64(place + 1))
    largest_by_bits(keys, size, wanted)
    return keys[:wanted]
