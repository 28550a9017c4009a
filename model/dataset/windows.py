"""User sequences cut into windows for the encoder."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from millrace.model.dataset.event_table import EventTable

_MS_PER_S = 1000.0


@dataclass(frozen=True, slots=True)
class Windows:
    """W windows; the last S slots of the input each predict the event that came next.

    Args:
        history: [W, L] int32, newest last, 0 where padded.
        value: [W, L] float32 ratings.
        age: [W, L] float32 seconds before the newest entry.
        ahead: [W, L] float32 seconds from the entry to the user's next event, 0 where padded.
        target: [W, S] int32 next item after each of the last S slots, 0 where there is none.
        target_value: [W, S] float32 its rating.
        target_row: [W, S] int32 its log row, -1 where there is none.
        newest: [W] int32 log row of the newest target.
    """

    history: NDArray[np.int32]
    value: NDArray[np.float32]
    age: NDArray[np.float32]
    ahead: NDArray[np.float32]
    target: NDArray[np.int32]
    target_value: NDArray[np.float32]
    target_row: NDArray[np.int32]
    newest: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.history)

    def take(self, rows: NDArray[np.int64]) -> "Windows":
        """Return the windows at `rows`."""
        return Windows(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})

    def cropped(self) -> "Windows":
        """Return the windows without the slots that are padding, or without a target, in all of them."""
        targets = _used(self.target)
        length = max(_used(self.history), targets)
        short = {column.name: getattr(self, column.name)[:, -length:] for column in fields(self)[:4]}
        short |= {column.name: getattr(self, column.name)[:, -targets:] for column in fields(self)[4:7]}
        return Windows(**short, newest=self.newest)


def _used(items: NDArray[np.int32]) -> int:
    """Return how many of the last columns hold anything; at least one."""
    used = np.flatnonzero((items > 0).any(axis=0))
    return max(items.shape[1] - int(used[0]), 1) if len(used) else 1


def cut_windows(events: EventTable, length: int, targets: int) -> Windows:
    """Cut each user's sequence, from its newest event backwards, so that every event is a target once.

    Args:
        events: In log order; a user's events are put in the order of their times.
        length: L, slots of history.
        targets: S, targets of a window.
    """
    return _fill(events, *piece_bounds(events, targets), length, targets)


def piece_bounds(events: EventTable, targets: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Cut each user's sequence into pieces of `targets` events, from its newest event backwards.

    Args:
        events: At least one event, in log order.
        targets: Events per piece; a user's oldest piece may have fewer.

    Returns:
        [N] int64 rows ordered by user, then time, then row; [P] first place of the user of each piece in that order;
        [P] one past the last place of each piece.
    """
    order = np.lexsort((np.arange(len(events)), events.ts_ms, events.users))
    users = events.users[order]
    starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]])
    ends = np.r_[starts[1:], len(users)]
    counts = -(-(ends - starts) // targets)
    first = np.repeat(starts, counts)
    back = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return order, first, np.repeat(ends, counts) - back * targets


def _fill(
    events: EventTable,
    order: NDArray[np.int64],
    first: NDArray[np.int64],
    end: NDArray[np.int64],
    length: int,
    targets: int,
) -> Windows:
    """Gather the windows; `first` and `end` bound each window's user and targets in the sorted events."""
    slots = end[:, None] - 1 - length + np.arange(length)
    there = slots >= first[:, None]
    rows = order[np.maximum(slots, 0)]
    wanted = end[:, None] - targets + np.arange(targets)
    given = wanted >= first[:, None]
    target_rows = order[np.maximum(wanted, 0)]
    taught = given & (events.weights[target_rows] > 0)
    times, following = events.ts_ms[rows], events.ts_ms[order[np.maximum(slots + 1, 0)]]
    return Windows(
        history=np.where(there, events.items[rows], 0).astype(np.int32),
        value=np.where(there, events.values[rows], 0).astype(np.float32),
        age=np.where(there, (times[:, -1:] - times) / _MS_PER_S, 0).astype(np.float32),
        ahead=np.where(there, (following - times) / _MS_PER_S, 0).astype(np.float32),
        target=np.where(taught, events.items[target_rows], 0).astype(np.int32),
        target_value=np.where(given, events.values[target_rows], 0).astype(np.float32),
        target_row=np.where(given, target_rows, -1).astype(np.int32),
        newest=np.where(given, target_rows, -1).max(axis=1).astype(np.int32),
    )
