"""Numbers that depend on an item alone, computed for all items at once: one cache line each."""

import numpy as np
from numpy.typing import NDArray

from millrace.streams.compiled import compiled
from millrace.streams.ranking.exponential_kernel import exp_all
from millrace.streams.ranking.history_kernel import COVISIT_PRIOR
from millrace.streams.ranking.logarithm_kernel import log_all

# Columns of an item's line. The first three are the log shares at three decays; what depends on the statistics comes
# before what does not.
ITEM_LOG_COUNT, ITEM_MEAN, ITEM_IDLE, ITEM_BUCKET_FADE, ITEM_COVISIT_NORM, ITEM_AGE = range(3, 9)
ITEM_CLASS, ITEM_LESSER_CLASS, ITEM_SHARE, ITEM_FIRST_RATE, ITEM_SET, ITEM_ERA, ITEM_YEAR = range(9, 16)
# A row of 16 float32 fills one cache line.
ITEM_COLUMNS = 16
_ALIKE = ITEM_SHARE
_RATING_PRIOR = 5.0
_LOGS = 6


@compiled
def fill_items(
    now_clock: int,
    mean_value: float,
    counts: NDArray[np.int64],
    decayed: NDArray[np.float32],
    value_sums: NDArray[np.float64],
    last_clock: NDArray[np.int64],
    first_clock: NDArray[np.int64],
    decayed_totals: NDArray[np.float64],
    bucket_decay: float,
    catalogue_size: int,
    class_of_count: NDArray[np.int8],
    shares: NDArray[np.float32],
    first_rates: NDArray[np.float32],
    items: NDArray[np.float32],
) -> None:
    """Fill the columns of `items` [N, ITEM_COLUMNS] that depend on the statistics.

    They are: log shares at the three decays, log count, mean rating, log events since the last one, the fading of
    counts by history length, the normalisation of co-visitation, log events since the first one, popularity class now
    and with one event less, recent share, rate of first events.

    Args:
        now_clock: The statistics' clock.
        mean_value: Everyone's mean rating.
        counts: [N] all-time counts.
        decayed: [N, 3] decayed counts as of now.
        value_sums: [N] sums of ratings.
        last_clock: [N] clock of the last event.
        first_clock: [N] clock of the first event.
        decayed_totals: [3] sums of the decayed counts over all items, now.
        bucket_decay: Time constant of the counts by history length.
        catalogue_size: Items known.
        class_of_count: Popularity class by count; larger counts share the last one.
        shares: [N] recent share of each item.
        first_rates: [N], see `ContentView`.
        items: [N, ITEM_COLUMNS] float32 out.
    """
    # Never-seen items, often most of a catalogue, are all alike: they copy the line of index 0, which is never seen.
    seen = np.append(np.zeros(1, np.int64), np.flatnonzero(counts[1:]) + 1)
    logs = _logs(now_clock, seen, counts, decayed, last_clock, first_clock, decayed_totals, catalogue_size)
    fades = np.empty(len(seen), np.float32)
    for place in range(len(seen)):
        fades[place] = (last_clock[seen[place]] - now_clock) / bucket_decay
    exp_all(fades)
    largest = len(class_of_count) - 1
    for place in range(len(seen)):
        item = seen[place]
        line, count = items[item], counts[item]
        for decay in range(3):
            line[decay] = logs[place, decay]
        line[ITEM_LOG_COUNT], line[ITEM_IDLE], line[ITEM_AGE] = logs[place, 3], logs[place, 4], logs[place, 5]
        line[ITEM_MEAN] = (value_sums[item] - count * mean_value) / (count + _RATING_PRIOR)
        line[ITEM_BUCKET_FADE] = fades[place]
        line[ITEM_COVISIT_NORM] = 1.0 / np.sqrt(count + COVISIT_PRIOR)
        line[ITEM_CLASS] = class_of_count[min(count, largest)]
        line[ITEM_LESSER_CLASS] = class_of_count[min(max(count - 1, 0), largest)]
    alike = items[0, :_ALIKE].copy()
    for item in range(len(items)):
        line = items[item]
        if counts[item] == 0:
            for column in range(_ALIKE):
                line[column] = alike[column]
        line[ITEM_SHARE], line[ITEM_FIRST_RATE] = shares[item], first_rates[item]


@compiled
def _logs(
    now_clock: int,
    seen: NDArray[np.int64],
    counts: NDArray[np.int64],
    decayed: NDArray[np.float32],
    last_clock: NDArray[np.int64],
    first_clock: NDArray[np.int64],
    decayed_totals: NDArray[np.float64],
    catalogue_size: int,
) -> NDArray[np.float32]:
    """Return [len(seen), _LOGS] the logarithms in the lines of `seen`; arguments as of `fill_items`."""
    floor = 1.0 / (catalogue_size + 1.0)
    scales = 1.0 / (decayed_totals + 1.0)
    logs = np.empty((len(seen), _LOGS), np.float32)
    for place in range(len(seen)):
        item = seen[place]
        for decay in range(3):
            logs[place, decay] = (decayed[item, decay] + floor) * scales[decay]
        logs[place, 3] = 1.0 + counts[item]
        logs[place, 4] = 1.0 + (now_clock - last_clock[item])
        logs[place, 5] = 1.0 + (now_clock - first_clock[item] if counts[item] > 0 else 0.0)
    flat = logs.reshape(len(seen) * _LOGS)
    log_all(flat, np.empty(len(flat), np.float32))
    return logs


@compiled
def decay_counts(
    now_clock: int,
    decayed: NDArray[np.float32],
    last_clock: NDArray[np.int64],
    decays: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Return [N, D] the decayed counts as of now.

    Args:
        now_clock: The statistics' clock.
        decayed: [N, D] as of the items' last events.
        last_clock: [N] clocks of these.
        decays: [D] time constants in events.
    """
    rates = (1.0 / decays).astype(np.float32)
    out = np.empty(decayed.shape, np.float32)
    for item in range(len(out)):
        past = np.float32(last_clock[item] - now_clock)
        for decay in range(len(rates)):
            out[item, decay] = past * rates[decay]
    factors, kept = out.reshape(out.size), decayed.reshape(out.size)
    exp_all(factors)
    for place in range(len(factors)):
        factors[place] *= kept[place]
    return out


@compiled
def share_out(decayed: NDArray[np.float32], floor: float) -> NDArray[np.float32]:
    """Return [N] the recent share of each item: the mean of those at two decays, and a small equal part.

    Args:
        decayed: [N, 3] decayed counts as of now; the latter two count.
        floor: Share of each item if all were equal.
    """
    medium, long = 0.0, 0.0
    for item in range(len(decayed)):
        medium += decayed[item, 1]
        long += decayed[item, 2]
    medium, long = 0.98 / (2.0 * medium + 2.0), 0.98 / (2.0 * long + 2.0)
    out = np.empty(len(decayed), np.float32)
    for item in range(len(decayed)):
        out[item] = medium * decayed[item, 1] + long * decayed[item, 2] + 0.02 * floor
    return out


@compiled
def fade_firsts(
    clock: int, counts: NDArray[np.int64], first_clock: NDArray[np.int64], decay_events: float
) -> NDArray[np.float32]:
    """Return [N] the present worth of each item's first event, 0 without one; arguments as in `Popularity`."""
    out, rate = np.empty(len(counts), np.float32), np.float32(1.0 / decay_events)
    for item in range(len(counts)):
        out[item] = np.float32(first_clock[item] - clock) * rate
    exp_all(out)
    for item in range(len(counts)):
        out[item] = out[item] if counts[item] > 0 else np.float32(0.0)
    return out
