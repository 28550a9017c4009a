"""Users' ratings in order, cut into sequences whose newest part is predicted one step ahead."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from millrace.model.dataset.event_table import EventTable
from millrace.model.dataset.windows import piece_bounds
from millrace.model.rating.levels import Levels

_MS_PER_S = 1000.0


@dataclass(frozen=True, slots=True)
class RatingSequences:
    """W sequences of T ratings each, newest last.

    Args:
        item: [W, T] int32, 0 where padded.
        value: [W, T] float32 ratings, 0 where padded.
        age: [W, T] float32 seconds before the newest entry.
        graded: [W, T] float32 1 where the rating is to be predicted from those before it, else 0.
        older_count: [W] float32 ratings of the user before the sequence.
        older_mean: [W] float32 their mean, 0 if there are none.
        rest: [W, T] float32 `Levels.total` of the item without this rating.
        count: [W, T] float32 number of these ratings.
    """

    item: NDArray[np.int32]
    value: NDArray[np.float32]
    age: NDArray[np.float32]
    graded: NDArray[np.float32]
    older_count: NDArray[np.float32]
    older_mean: NDArray[np.float32]
    rest: NDArray[np.float32]
    count: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.item)

    def take(self, rows: NDArray[np.int64]) -> "RatingSequences":
        """Return the sequences at `rows`."""
        return RatingSequences(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def cut_sequences(
    events: EventTable, levels: Levels, length: int, targets: int, most: int, rng: np.random.Generator
) -> RatingSequences:
    """Cut each user's ratings, newest first, so that every rating is predicted once.

    What is known of an item leaves out the rating itself: else a rating of an item that only this user rated would
    seem predictable, and trust in item biases would be learned far too high.

    Args:
        events: In log order; a user's ratings are put in the order of their times.
        levels: Levels of the same log.
        length: T, entries of a sequence.
        targets: Ratings of a sequence that are predicted.
        most: Most sequences to return; a longer log is sampled.
        rng: Source of the sample.
    """
    order, first, end = piece_bounds(events, targets)
    if len(end) > most:
        chosen = np.sort(rng.choice(len(end), most, replace=False))
        first, end = first[chosen], end[chosen]
    return _gather(events, levels, order, first, end, length, targets)


def _gather(
    events: EventTable,
    levels: Levels,
    order: NDArray[np.int64],
    first: NDArray[np.int64],
    end: NDArray[np.int64],
    length: int,
    targets: int,
) -> RatingSequences:
    slots = end[:, None] - length + np.arange(length)
    there = slots >= first[:, None]
    rows = order[np.maximum(slots, 0)]
    items = events.items[rows]
    older = np.maximum(end - length - first, 0)
    sums = np.concatenate([[0.0], np.cumsum(events.values[order], dtype=np.float64)])
    older_sum = sums[first + older] - sums[first]
    times = events.ts_ms[rows]
    return RatingSequences(
        item=np.where(there, items, 0).astype(np.int32),
        value=np.where(there, events.values[rows], 0).astype(np.float32),
        age=np.where(there, (times[:, -1:] - times) / _MS_PER_S, 0).astype(np.float32),
        graded=(there & (np.arange(length) >= length - targets)).astype(np.float32),
        older_count=older.astype(np.float32),
        older_mean=(older_sum / np.maximum(older, 1)).astype(np.float32),
        rest=np.where(there, levels.total[items] - levels.rest[rows], 0).astype(np.float32),
        count=np.where(there, levels.count[items] - 1, 0).astype(np.float32),
    )
