"""Kernels on the rows of item statistics: row j lists the items seen with j and how strongly.

A row holds at most K neighbours; each carries STATISTICS numbers. When a row is full the weakest neighbour makes room,
where weakness is measured on the time-decayed evidence, so that old links go first.
"""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled

# Slots of one neighbour's numbers.
SHORT = 0  # transitions over the last 5 lags, .8^d
WIDE = 1  # transitions over 30 lags, .93^d
TIMED = 2  # as WIDE, old increments fading
COVISITED = 3  # symmetric, 50 lags, .98^d
STATISTICS = 4

SHORT_LAGS, SHORT_DECAY = 5, 0.8
WIDE_LAGS, WIDE_DECAY = 30, 0.93
COVISIT_DECAY = 0.98
# No more history than this is learned from: a keeper has to hold it for every user.
LEARNED_LAGS = 50

# Polynomial forward decay, g(n) = n^b (Cormode, Shkapenyuk, Srivastava, Xu, "Forward decay", ICDE 2009): an increment
# made at clock t weighs (t / now)^b, so its time constant is now / b, 15 % of the stream so far, at any length.
FORWARD_EXPONENT = 1.0 / 0.15
# Added to the clock: the first few events would otherwise forget each other at once.
CLOCK_START = 1000.0
# A row is rescaled to a newer landmark before its numbers leave the comfortable range of float32.
LARGEST_GROWTH = 1e6
# Weight of the undecayed co-visitation in deciding which neighbour is weakest.
COVISITED_KEEPS = 0.01

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int32]


@compiled
def fading(landmark: float, clock: int) -> float:
    """Return what a unit of TIMED evidence stored under `landmark` is worth at `clock`, 0 to 1."""
    if landmark == 0.0:
        return 0.0
    return float((landmark / (clock + CLOCK_START)) ** FORWARD_EXPONENT)


@compiled
def _growth(row: int, clock: int, values: Floats, lengths: Ints, sums: Doubles, landmarks: Doubles) -> float:
    """Return the size of a unit increment now, in the row's scale; moves the landmark when it gets large."""
    now = clock + CLOCK_START
    if landmarks[row] == 0.0:
        landmarks[row] = now
        return 1.0
    growth = (now / landmarks[row]) ** FORWARD_EXPONENT
    if growth <= LARGEST_GROWTH:
        return float(growth)
    for slot in range(lengths[row]):
        values[row, slot, TIMED] /= growth
    sums[row, TIMED] /= growth
    landmarks[row] = now
    return 1.0


@compiled
def _slot_of(row: int, neighbour: int, growth: float, ids: Ints, values: Floats, lengths: Ints) -> int:
    """Return the place of a neighbour in a row, made by evicting the weakest one if it must be (ties: first)."""
    length = lengths[row]
    for slot in range(length):
        if ids[row, slot] == neighbour:
            return slot
    slot = length
    if length < ids.shape[1]:
        lengths[row] = length + 1
    else:
        weakest = np.inf
        for place in range(length):
            weight = values[row, place, TIMED] + COVISITED_KEEPS * growth * values[row, place, COVISITED]
            if weight < weakest:
                weakest = weight
                slot = place
    ids[row, slot] = neighbour
    values[row, slot, :] = 0.0
    return slot


@compiled
def learn_rows(
    history: Ints,
    item: int,
    clock: int,
    event_weight: float,
    ids: Ints,
    values: Floats,
    lengths: Ints,
    sums: Doubles,
    landmarks: Doubles,
    dirty: NDArray[np.uint8],
) -> None:
    """Learn that `item` followed `history` (newest first); repeats of the item itself are skipped.

    Args:
        history: [H] item indexes, newest first; the first LEARNED_LAGS count.
        item: Index of the new item.
        clock: Events learned before this one.
        event_weight: Factor of every increment.
        ids: [N, K] neighbours of each row.
        values: [N, K, STATISTICS].
        lengths: [N] neighbours in use.
        sums: [N, STATISTICS] totals of everything ever added, evicted neighbours included.
        landmarks: [N] clock (plus CLOCK_START) to which TIMED is scaled.
        dirty: [N] set to 1 for every row changed.
    """
    others = 0
    for lag in range(min(len(history), LEARNED_LAGS)):
        others += history[lag] != item
    if others == 0:
        # Nothing is learned, so nothing may change: a row that is not dirty is not written.
        return
    item_growth = _growth(item, clock, values, lengths, sums, landmarks)
    for lag in range(min(len(history), LEARNED_LAGS)):
        row = history[lag]
        if row == item:
            continue
        growth = _growth(row, clock, values, lengths, sums, landmarks)
        slot = _slot_of(row, item, growth, ids, values, lengths)
        if lag < SHORT_LAGS:
            weight = event_weight * SHORT_DECAY**lag
            values[row, slot, SHORT] += weight
            sums[row, SHORT] += weight
        if lag < WIDE_LAGS:
            weight = event_weight * WIDE_DECAY**lag
            values[row, slot, WIDE] += weight
            sums[row, WIDE] += weight
            values[row, slot, TIMED] += weight * growth
            sums[row, TIMED] += weight * growth
        weight = event_weight * COVISIT_DECAY**lag
        values[row, slot, COVISITED] += weight
        sums[row, COVISITED] += weight
        slot = _slot_of(item, row, item_growth, ids, values, lengths)
        values[item, slot, COVISITED] += weight
        sums[item, COVISITED] += weight
        dirty[row] = 1
        dirty[item] = 1
