"""Which events of a backlog get a list of their own: pure.

State is always applied. Under a backlog two kinds of list only cost time that fresh ones need: that of an event whose
user has acted since, and that of an event that has waited longer than any user waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from millrace.runtime.records import Decoded

# Why an event got no list, as counted.
SUPERSEDED = "superseded"
LATE = "late"


@dataclass(frozen=True, slots=True)
class ListPolicy:
    """When lists are left out.

    Args:
        backlog_events: More waiting records than this are a backlog; 0: nothing ever is.
        max_age_ms: An event of a backlog that has waited longer gets no list.
    """

    backlog_events: int = 0
    max_age_ms: int = 0

    def is_backlog(self, waiting: int) -> bool:
        """Return whether so many waiting records are a backlog."""
        return 0 < self.backlog_events < waiting

    def left_out(self, batch: Sequence[Decoded], now_ms: int) -> dict[int, str]:
        """Return which records of a backlog's batch get no list, by their place in it, and why.

        Both clocks may be wrong, the producer's in the record and the worker's: that costs lists while there is a
        backlog, and nothing else.

        Args:
            batch: Records of partitions in which a user's events lie in order.
            now_ms: The worker's clock.
        """
        reasons: dict[int, str] = {}
        newer: set[str] = set()
        for place in range(len(batch) - 1, -1, -1):
            event = batch[place].event
            if event is None:
                continue
            if event.user_id in newer:
                reasons[place] = SUPERSEDED
            elif now_ms - batch[place].record.timestamp_ms > self.max_age_ms:
                reasons[place] = LATE
            newer.add(event.user_id)
        return reasons
