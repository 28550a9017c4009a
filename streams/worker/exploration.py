"""The worker's copy of the exploration counts, read beside the batches like the item pages."""

from collections.abc import Sequence
from typing import Protocol

from millrace.streams.ranking.exploration import SHOWN, TAKEN, ExplorationPolicy, shown_counts, taken_counts


class ExplorationReader(Protocol):
    """What the worker reads of `ServingStore`."""

    async def exploration(self, names: Sequence[str]) -> dict[str, int]:
        """Return the exploration counts of these names, 0 where nothing was counted."""
        ...


class ExplorationCache:
    """A policy with the counts of all workers as of the last `refresh`.

    Only the items that the policy was asked about are read, so the cost does not grow with the catalogue. An item that
    is asked about for the first time counts as never shown until the next reading.

    Args:
        store: Where the counts are.
    """

    def __init__(self, store: ExplorationReader) -> None:
        self.policy = ExplorationPolicy()
        self._store = store

    async def refresh(self) -> None:
        """Read the totals and the items asked about since the last time; raises TransientError while Redis is away."""
        asked, self.policy.asked = sorted(self.policy.asked), set()
        own = [name for item in asked for name in (shown_counts(item)[1], taken_counts(item)[1])]
        self.policy.load(await self._store.exploration([SHOWN, TAKEN, *own]))
