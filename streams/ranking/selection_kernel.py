"""Selecting the largest of many: numbers become unsigned keys that order as they do, ties decided in the lower half."""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled

# Keys are sorted into bins by their upper bits: the exponent and a few bits of the mantissa.
_BIN_SHIFT, _BINS = np.uint64(52), 4096


@compiled
def ordered(bits: int) -> np.uint64:
    """Return the bits of a float32 as an unsigned number that orders as the floats do."""
    wide = np.uint64(bits)
    return wide ^ np.uint64(0xFFFFFFFF) if wide >> np.uint64(31) else wide | np.uint64(0x80000000)


@compiled
def largest(keys: NDArray[np.uint64], size: int, wanted: int) -> None:
    """Move the `wanted` largest of the first `size` keys to the front (quickselect); keys are distinct."""
    low, high = 0, size - 1
    while low < high:
        pivot = keys[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while keys[left] > pivot:
                left += 1
            while keys[right] < pivot:
                right -= 1
            if left <= right:
                keys[left], keys[right] = keys[right], keys[left]
                left += 1
                right -= 1
        if wanted - 1 <= right:
            high = right
        elif wanted - 1 >= left:
            low = left
        else:
            return


@compiled
def largest_by_bits(keys: NDArray[np.uint64], size: int, wanted: int) -> None:
    """Do as `largest` where the upper half of the keys are the bits of positive floats: far fewer are compared."""
    numbers = np.zeros(_BINS, np.int32)
    for place in range(size):
        numbers[keys[place] >> _BIN_SHIFT] += 1
    edge, above = _BINS - 1, 0
    while edge > 0 and above + numbers[edge] < wanted:
        above += numbers[edge]
        edge -= 1
    # Whole bins first, then the bin that only some of are wanted of.
    lower, upper = np.uint64(edge) << _BIN_SHIFT, np.uint64(edge + 1) << _BIN_SHIFT
    front, between = 0, np.empty(numbers[edge], np.uint64)
    number = 0
    for place in range(size):
        key = keys[place]
        if key >= upper:
            keys[front] = key
            front += 1
        elif key >= lower:
            between[number] = key
            number += 1
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


@compiled
def top_items(weights: NDArray[np.float32], wanted: int) -> NDArray[np.int32]:
    """Return the items (from 1) of the `wanted` largest weights, largest first, ties by index.

    Args:
        weights: [N] none below 0, contiguous; index 0 is passed over.
        wanted: At most N - 1.
    """
    bits, size = weights.view(np.uint32), len(weights) - 1
    keys = np.empty(size, np.uint64)
    for place in range(size):
        keys[place] = (np.uint64(bits[place + 1]) << np.uint64(32)) | np.uint64(0xFFFFFFFF - (place + 1))
    largest_by_bits(keys, size, wanted)
    best = falling(keys[:wanted])
    out = np.empty(wanted, np.int32)
    for place in range(wanted):
        out[place] = np.int32(np.uint64(0xFFFFFFFF) - (best[place] & np.uint64(0xFFFFFFFF)))
    return out
