"""The values that the Redis stores take and return."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

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
