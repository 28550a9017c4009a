"""An event table that grows by appending."""

import numpy as np

from millrace.model.dataset.event_table import EventTable
from millrace.streams.statistics.growing import grown

_FIRST_ROWS = 1024


class GrowingLog:
    """An event table that grows.

    Attributes:
        count: Events so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._users = np.zeros(_FIRST_ROWS, np.int32)
        self._items = np.zeros(_FIRST_ROWS, np.int32)
        self._values = np.zeros(_FIRST_ROWS, np.float32)
        self._ts_ms = np.zeros(_FIRST_ROWS, np.int64)
        self._weights = np.zeros(_FIRST_ROWS, np.float32)
        self._numbers: dict[str, int] = {}

    def add(self, user_id: str, item: int, value: float, ts_ms: int, weight: float = 1.0) -> None:
        """Append one event."""
        if self.count == len(self._users):
            size = self.count + 1
            self._users, self._items = grown(self._users, size), grown(self._items, size)
            self._values, self._ts_ms = grown(self._values, size), grown(self._ts_ms, size)
            self._weights = grown(self._weights, size)
        row = self.count
        self._users[row] = self._numbers.setdefault(user_id, len(self._numbers))
        self._items[row], self._values[row], self._ts_ms[row] = item, value, ts_ms
        self._weights[row] = weight
        self.count += 1

    def number_of(self, user_id: str) -> int:
        """Return a user's number in the table; the next free one for a user without events."""
        return self._numbers.get(user_id, len(self._numbers))

    def table(self) -> EventTable:
        """Return the events so far; a view, valid until the next `add`."""
        count = self.count
        return EventTable(
            self._users[:count],
            self._items[:count],
            self._values[:count],
            self._ts_ms[:count],
            self._weights[:count],
        )
