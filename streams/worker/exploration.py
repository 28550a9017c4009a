"""The worker's copy of what exploration has learned: read beside the batches, like the item pages."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from millrace.kernel.errors import TransientError
from millrace.streams.ranking.exploration import SHOWN, TAKEN, ExplorationPolicy, shown_counts, taken_counts

logger = logging.getLogger(__name__)


class ExplorationReader(Protocol):
    """What the worker reads of `ServingStore`."""

    async def exploration(self, names: Sequence[str]) -> dict[str, int]:
        """Return the exploration counts of these names, 0 where nothing was counted."""
        ...


class ExplorationCache:
    """Keeps a policy at most about `ttl_ms` behind what all workers have counted.

    Only the items that the policy was asked about are read, so the cost does not grow with the catalogue. An item that
    is asked about for the first time counts as never shown until the next reading.

    Args:
        store: Where the counts are.
        ttl_ms: How often to read.
    """

    def __init__(self, store: ExplorationReader, ttl_ms: int) -> None:
        self.policy = ExplorationPolicy()
        self._store = store
        self._ttl_s = max(ttl_ms, 20) / 1000

    async def refresh(self) -> None:
        """Read the totals and the items asked about since the last time; raises TransientError while Redis is away."""
        asked, self.policy.asked = sorted(self.policy.asked), set()
        own = [name for item in asked for name in (shown_counts(item)[1], taken_counts(item)[1])]
        self.policy.load(await self._store.exploration([SHOWN, TAKEN, *own]))

    async def keep_fresh(self) -> None:
        """Refresh for ever; runs until cancelled."""
        while True:
            try:
                await self.refresh()
            except TransientError as error:
                logger.warning("What exploration has learned is not refreshed: %s", error)
            except Exception:
                logger.exception("Refreshing what exploration has learned failed; trying again.")
            await asyncio.sleep(self._ttl_s)
