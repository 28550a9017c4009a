"""What the roles need from the state store. Redis is the one adapter; its tests run against a real server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.user_state import ServedList, UserState


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far a role is on one partition; -1 for nothing yet.

    Args:
        state: Last offset whose state change is applied.
        done: Last offset that is fully handled.
    """

    state: int = -1
    done: int = -1


@dataclass(frozen=True, slots=True)
class LiveGrade:
    """The graded outcome of one event, to be added to the live counts of a version and arm."""

    version: str
    arm: str
    hit: bool
    ndcg: float
    popularity_hit: bool
    popularity_ndcg: float


@dataclass(frozen=True, slots=True)
class PartitionCommit:
    """The state change of one partition's share of a micro-batch (step 4).

    Args:
        partition: Partition of the events topic.
        owner: Token got from `claim`; a newer claim fences this one out.
        expected_state: The `state` watermark the batch was computed from.
        new_state: Last offset of the batch in this partition.
        users: New states; `served` and `proposals` are not written by this commit.
        new_touched: Per user the item indexes to append to the touched set.
        grades: Live grades to count.
        counters: Counter name -> increment (events_applied, duplicates, dead:<reason>, ...).
        explored: Exploration count -> increment, see `millrace.streams.ranking.exploration`.
    """

    partition: int
    owner: str
    expected_state: int
    new_state: int
    users: Sequence[UserState]
    new_touched: Mapping[str, Sequence[int]]
    grades: Sequence[LiveGrade] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    explored: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServedUpdate:
    """The list a user was just served (step 7).

    Args:
        user_id: Who.
        served: The list as the next event grades it.
        proposals: The network's own best items; None keeps the ones the user has.
        record: The value of the published recommendation, kept for people to look at (`millrace recommend`).
    """

    user_id: str
    served: ServedList
    proposals: NDArray[np.int32] | None
    record: bytes = b""


@dataclass(frozen=True, slots=True)
class PartitionFinish:
    """The end of one partition's share of a micro-batch (step 7).

    Args:
        partition: Partition of the events topic.
        owner: Token got from `claim`.
        done: Last offset fully handled.
        served: The lists served.
        counters: Counter name -> increment.
        explored: Exploration count -> increment.
    """

    partition: int
    owner: str
    done: int
    served: Sequence[ServedUpdate]
    counters: Mapping[str, int] = field(default_factory=dict)
    explored: Mapping[str, int] = field(default_factory=dict)


class FencedError(Exception):
    """Another worker has claimed the partition, or the watermark moved: drop the batch, change nothing.

    Args:
        message: One sentence naming the partitions.
        partitions: The partitions that were refused.
    """

    def __init__(self, message: str, partitions: frozenset[int] = frozenset()) -> None:
        super().__init__(message)
        self.partitions = partitions


class UserStore(Protocol):
    """Users and their watermarks; written by workers (and a rebuild) only."""

    def home(self, user_id: str) -> int | None:
        """Return the only partition whose commits can write a user, or None where any can."""
        ...

    async def claim(self, partition: int, owner: str) -> Watermark:
        """Take a partition over: older owners are fenced from now on. Returns where to resume."""
        ...

    async def load(self, user_ids: Sequence[str]) -> list[UserState]:
        """Read users in one round trip, in the order asked; an unknown one is an empty state."""
        ...

    async def commit(self, commits: Sequence[PartitionCommit]) -> None:
        """Apply each partition's change atomically, all in one round trip.

        Raises:
            FencedError: A partition was lost; that partition's change is not applied (others may be).
        """
        ...

    async def finish(
        self,
        partition: int,
        owner: str,
        done: int,
        served: Sequence[ServedUpdate],
        counters: Mapping[str, int],
    ) -> None:
        """Record the lists served and advance the `done` watermark, atomically.

        Raises:
            FencedError: The partition was lost, or `state` lies before `done`: the store has gone back.
        """
        ...

    async def finish_all(self, finishes: Sequence[PartitionFinish]) -> None:
        """Do `finish` for several partitions in one round trip, each atomically.

        Raises:
            FencedError: A partition was lost; the others are finished.
        """
        ...

    async def watermarks(self, role: str, topic: str) -> dict[int, Watermark]:
        """Return the watermarks of every partition a role has handled."""
        ...


@dataclass(frozen=True, slots=True)
class CatalogueChange:
    """One changed item with its dense index."""

    index: int
    item: CatalogueItem


class ItemSource(NamedTuple):
    """Which record an item was written from.

    Args:
        partition: Of the items topic.
        offset: In it.
        timestamp_ms: The record's.
    """

    partition: int
    offset: int
    timestamp_ms: int


class CatalogueStore(Protocol):
    """Items: metadata and dense indexes."""

    async def assign(self, item_ids: Sequence[str]) -> list[int]:
        """Return the dense index of each id, registering unknown ones (as bare items) once, atomically."""
        ...

    async def upsert(self, items: Sequence[CatalogueItem], sources: Sequence[ItemSource] = ()) -> list[int]:
        """Write metadata, registering unknown items; returns their indexes.

        With the source of each, an item stored from a later record stays as it is.
        """
        ...

    async def changes_since(self, sequence: int) -> tuple[int, list[CatalogueChange]]:
        """Return the items changed after `sequence` and the new sequence; 0 reads everything."""
        ...

    async def sequence(self) -> int:
        """Return the current change sequence."""
        ...


@dataclass(frozen=True, slots=True)
class StatisticsFlush:
    """One transactional flush of the keeper.

    Args:
        pages: Item index -> page bytes.
        popularity: Chunk number -> bytes.
        tails: User id -> tail bytes.
        scalars: Clock and other numbers, name -> value as text.
        watermarks: Partition -> last offset learned (both `state` and `done`).
        expected: Partition -> `state` before this flush, of all partitions that it builds on; -1 where none is named.
    """

    pages: Mapping[int, bytes]
    popularity: Mapping[int, bytes]
    tails: Mapping[str, bytes]
    scalars: Mapping[str, str]
    watermarks: Mapping[int, int]
    expected: Mapping[int, int] = field(default_factory=dict)


class StatisticsStore(Protocol):
    """Item pages and popularity; written by the keeper (and a rebuild) only."""

    async def claim(self, partitions: Sequence[int], owner: str) -> dict[int, int]:
        """Take the partitions over; returns the last offset learned of each, -1 for none."""
        ...

    async def flush(self, owner: str, flush: StatisticsFlush) -> None:
        """Write everything in one transaction; sending the same flush again changes nothing.

        Raises:
            FencedError: Another keeper has claimed a partition, or one does not stand where the flush goes on from.
        """
        ...

    async def pages(self, items: Sequence[int]) -> list[bytes | None]:
        """Fetch item pages with one MGET."""
        ...

    async def popularity(self, chunks: int) -> list[bytes | None]:
        """Fetch the first `chunks` popularity chunks."""
        ...

    async def tails(self, user_ids: Sequence[str]) -> list[bytes | None]:
        """Fetch the keeper's tails."""
        ...

    async def scalars(self) -> dict[str, str]:
        """Return the keeper's scalars, among them `clock` and `flush`."""
        ...


@dataclass(frozen=True, slots=True)
class ServingPlan:
    """Which versions serve whom.

    Args:
        champion: Version for everyone else; None before the first one.
        challenger: Version on trial, if any.
        challenger_share: 0 to 1, of the users, sticky by hash of the user id.
        sequence: Grows with every change.
        previous: The champion before this one, for a rollback.
    """

    champion: str | None = None
    challenger: str | None = None
    challenger_share: float = 0.0
    sequence: int = 0
    previous: str | None = None


class ServingStore(Protocol):
    """The serving pointer, the version cards as workers need them, and live quality."""

    async def plan(self) -> ServingPlan:
        """Return the current plan."""
        ...

    async def set_plan(
        self, champion: str | None, challenger: str | None = None, challenger_share: float = 0.0
    ) -> ServingPlan:
        """Switch; workers follow within a batch."""
        ...

    async def put_model(self, version: str, card_json: bytes, vectors: bytes) -> None:
        """Store what workers need of a version, before it is made champion or challenger."""
        ...

    async def model_card(self, version: str) -> bytes | None:
        """Return the JSON stored by `put_model`."""
        ...

    async def model_vectors(self, version: str) -> bytes | None:
        """Return the float16 item vectors stored by `put_model`."""
        ...

    async def counters(self) -> dict[str, int]:
        """Return all counters."""
        ...

    async def live(self) -> dict[tuple[str, str], dict[str, float]]:
        """Return the live counts by (version, arm): events, hits, ndcg, popularity_hits, popularity_ndcg."""
        ...

    async def exploration(self, names: Sequence[str]) -> dict[str, int]:
        """Return the exploration counts of these names, 0 where nothing was counted."""
        ...

    async def heartbeat(self, role: str, instance: str, status: Mapping[str, object], ttl_s: float) -> None:
        """Publish a process's status for `millrace status`."""
        ...

    async def heartbeats(self) -> list[dict[str, object]]:
        """Return the status of every process heard from lately, each with its `role` and `instance`."""
        ...

    async def put_cold_list(self, served: ServedList, record: bytes = b"") -> None:
        """Keep the list a new user gets now, with its reasons as a recommendation record if there is one."""
        ...

    async def cold_list(self) -> tuple[ServedList, bytes] | None:
        """Return what `put_cold_list` kept last."""
        ...
