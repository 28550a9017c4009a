"""Remembers ids, so that a repeated record is recognised."""

from collections import OrderedDict


class RecentIds:
    """Remembers the newest ids up to a bound.

    Args:
        capacity: How many.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._ids: OrderedDict[str, None] = OrderedDict()

    def is_repeat(self, identifier: str) -> bool:
        """Return whether the id is remembered, and remember it."""
        repeat = identifier in self._ids
        self._ids[identifier] = None
        self._ids.move_to_end(identifier)
        if len(self._ids) > self._capacity:
            self._ids.popitem(last=False)
        return repeat
