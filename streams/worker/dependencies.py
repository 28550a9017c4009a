"""The services a batch needs, as narrow protocols: the processor knows nothing of Faust, Redis or Triton."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import ServedList, UserState
from millrace.runtime.records import Publisher
from millrace.stores.redis.values import PartitionCommit, PartitionFinish, Watermark
from millrace.streams.worker.plan import Grader
from millrace.streams.worker.recommendations import NO_MODEL, PublishedItem


class BatchUsers(Protocol):
    """What a batch needs of `RedisUserStore`."""

    def home(self, user_id: str) -> int | None:
        """Return the only partition whose batches can write a user, or None where any can."""
        ...

    async def load(self, user_ids: Sequence[str]) -> list[UserState]:
        """Read users in one round trip."""
        ...

    async def commit(self, commits: Sequence[PartitionCommit]) -> None:
        """Apply each partition's change atomically."""
        ...

    async def finish_all(self, finishes: Sequence[PartitionFinish]) -> None:
        """Record the lists served and advance `done`, for all partitions in one round trip."""
        ...

    async def watermarks(self, role: str, topic: str) -> dict[int, Watermark]:
        """Return the watermarks of every partition a role has handled."""
        ...


class ItemResolver(Protocol):
    """Resolves item ids."""

    async def resolve(self, item_ids: Sequence[str]) -> dict[str, int]:
        """Return the index of each id that has or may have one."""
        ...


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A list to make.

    Args:
        recommendation_id: Decides the exploration slot.
        state: The user as the list is to reflect it.
        now_ms: Event time at which the list is made.
    """

    recommendation_id: str
    state: UserState
    now_ms: int


@dataclass(frozen=True, slots=True)
class MadeList:
    """A list, ready to publish and to store.

    Args:
        served: As the user's next event grades it.
        fallback: None, or why the model did not score it.
        items: As published.
        proposals: The network's own best items; None without the model.
    """

    served: ServedList
    fallback: str | None
    items: Sequence[PublishedItem]
    proposals: NDArray[np.int32] | None

    @property
    def arm(self) -> str | None:
        """As published: null before the first version, when users are in no arm yet."""
        return None if self.fallback == NO_MODEL else self.served.arm


class ListMaker(Protocol):
    """Makes and grades lists (steps 5 and 6)."""

    def grader(self) -> Grader:
        """Return what grades lists in the coming batch."""
        ...

    async def make(self, requests: Sequence[ListRequest]) -> list[MadeList]:
        """Make one list per request, in order; scoring that fails leads to fallback lists, not to an error.

        Raises:
            TransientError: The statistics cannot be read.
        """
        ...

    def take_counters(self) -> dict[str, int]:
        """Return what has been counted since the last call (failed_requests)."""
        ...


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The services a batch touches.

    Args:
        users: Users and watermarks.
        items: Resolves item ids.
        lists: Makes and grades lists.
        publisher: Writes to Kafka.
    """

    users: BatchUsers
    items: ItemResolver
    lists: ListMaker
    publisher: Publisher
