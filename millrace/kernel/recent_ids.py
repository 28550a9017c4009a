"""Recognises repeated records by id."""

from collections import OrderedDict


class RecentIds:
    """A set of the most recent ids.

    Args:
        capacity: Most ids to remember; the oldest is dropped.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._ids: OrderedDict[str, None] = OrderedDict()

    def is_repeat(self, identifier: str) -> bool:
        """Return whether the id was seen recently, and remember it."""
        repeat = identifier in self._ids
        self._ids[identifier] = None
        self._ids.move_to_end(identifier)
        if len(self._ids) > self._capacity:
            self._ids.popitem(last=False)
        return repeat
