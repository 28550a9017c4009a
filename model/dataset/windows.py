"""Training windows for the sequence encoder, cut from the users' event sequences."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from millrace.model.dataset.event_table import EventTable

_MS_PER_S = 1000.0


@dataclass(frozen=True, slots=True)
class Windows:
    """W training windows; each of the last S slots of a window predicts the event after it.

    Args:
        history: [W, L] int32 dense item indexes, newest last, 0 where padded.
        value: [W, L] float32 event values, 0 where padded.
        age: [W, L] float32 seconds between the entry and the newest entry of the window, 0 where padded.
        ahead: [W, L] float32 seconds from the entry to the user's next event, 0 where padded.
        target: [W, S] int32 item after each of the last S slots, 0 where there is none or its weight is 0.
        target_value: [W, S] float32 value of that event, 0 where there is none.
        target_row: [W, S] int32 log row of that event, -1 where there is none.
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
        """Return the windows at `rows`, [M] int64."""
        return Windows(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})

    def cropped(self) -> "Windows":
        """Return the windows without the oldest slots that are empty in all of them.

        History slots are dropped where every window has padding, target slots where no window has a target. L and S
        stay at least 1, and L at least S.
        """
        targets = _used(self.target)
        length = max(_used(self.history), targets)
        short = {column.name: getattr(self, column.name)[:, -length:] for column in fields(self)[:4]}
        short |= {column.name: getattr(self, column.name)[:, -targets:] for column in fields(self)[4:7]}
        return Windows(**short, newest=self.newest)


def _used(items: NDArray[np.int32]) -> int:
    """Return how many of the last columns to keep so that no positive entry is lost; at least 1."""
    used = np.flatnonzero((items > 0).any(axis=0))
    return max(items.shape[1] - int(used[0]), 1) if len(used) else 1


def cut_windows(events: EventTable, length: int, targets: int) -> Windows:
    """Cut each user's sequence into windows, from the newest event backwards, so that each event is a target once.

    Args:
        events: At least one event, in log order; each user's events are sorted by time.
        length: L, history slots of a window.
        targets: S, target slots of a window.
    """
    return _fill(events, *piece_bounds(events, targets), length, targets)


def piece_bounds(events: EventTable, targets: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Cut each user's sequence into pieces of `targets` events, from its newest event backwards.

    Args:
        events: At least one event, in log order.
        targets: Events per piece; a user's oldest piece may have fewer.

    Returns:
        The event order, [N] int64: rows sorted by user, then time, then row; for each of P pieces, the place in this
        order where its user's events start, [P] int64; and the place after its last event, [P] int64.
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
    """Build the windows from the result of `piece_bounds`: `order` [N], `first` [W] and `end` [W]."""
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
