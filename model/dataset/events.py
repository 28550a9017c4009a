"""The log as columns: what training reads."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from consumers.event_log.protocol import LoggedEvent
from millrace.contracts import ActivityEvent, CatalogueItem
from millrace.contracts.decode import EventPolicy


_NO_WEIGHTS: NDArray[np.float32] = np.empty(0, np.float32)


@dataclass(frozen=True, slots=True)
class EventTable:
    """Events in log order, one row each, repeated ids left out.

    Args:
        users: [N] int32 numbers of users, dense from 0.
        items: [N] int32 dense item indexes, from 1.
        values: [N] float32, 0.5 to 5.
        ts_ms: [N] int64 event times.
        weights: [N] float32 what each teaches, in ratings; 1 each if not given. Of weight 0 it is nobody's target.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    values: NDArray[np.float32]
    ts_ms: NDArray[np.int64]
    weights: NDArray[np.float32] = field(default_factory=lambda: _NO_WEIGHTS)

    def __post_init__(self) -> None:
        if self.weights is _NO_WEIGHTS:
            object.__setattr__(self, "weights", np.ones(len(self.items), np.float32))

    def __len__(self) -> int:
        return len(self.items)

    def head(self, count: int) -> "EventTable":
        """Return the oldest `count` events."""
        return EventTable(
            self.users[:count], self.items[:count], self.values[:count], self.ts_ms[:count], self.weights[:count]
        )


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Everything training needs to know.

    Args:
        events: The log.
        items: Dense index -> item; has every index that occurs in the events.
        position: Last offset read, by partition.
        new_from: Row of the first event that the parent version has not learned; 0 without a parent.
    """

    events: EventTable
    items: Mapping[int, CatalogueItem]
    position: Mapping[int, int] = field(default_factory=dict)
    new_from: int = 0


class _Columns:
    """Collects events; an id seen before from the same user is left out."""

    def __init__(self, policy: EventPolicy) -> None:
        self._policy = policy
        self._numbers: dict[str, int] = {}
        self._known: set[tuple[int, str]] = set()
        self.users: list[int] = []
        self.item_ids: list[str] = []
        self.values: list[float] = []
        self.ts_ms: list[int] = []
        self.weights: list[float] = []

    def add(self, event: ActivityEvent) -> None:
        user = self._numbers.setdefault(event.user_id, len(self._numbers))
        if (user, event.event_id) in self._known:
            return
        self._known.add((user, event.event_id))
        self.users.append(user)
        self.item_ids.append(event.item_id)
        self.values.append(self._policy.value_of(event))
        self.ts_ms.append(event.ts_ms)
        self.weights.append(self._policy.weight_of(event))

    def table(self, indexes: Sequence[int]) -> EventTable:
        return EventTable(
            np.asarray(self.users, np.int32),
            np.asarray(indexes, np.int32),
            np.asarray(self.values, np.float32),
            np.asarray(self.ts_ms, np.int64),
            np.asarray(self.weights, np.float32),
        )


def from_log(
    pages: Iterable[Sequence[LoggedEvent]],
    items: Mapping[int, CatalogueItem],
    assign: Callable[[Sequence[str]], Sequence[int]],
    learned: Mapping[int, int],
    policy: EventPolicy,
) -> TrainingData:
    """Return the log as training data.

    Args:
        pages: As `EventLog.read` yields them.
        items: Dense index -> item.
        assign: Gives the dense index of each item id, registering unknown ones; called once.
        learned: Last offset that the parent version has learned, by partition; empty without a parent.
        policy: Gives the values of event types that carry none.
    """
    columns, position = _Columns(policy), dict(learned)
    new_from: int | None = None
    for page in pages:
        for logged in page:
            if new_from is None and logged.offset > learned.get(logged.partition, -1):
                new_from = len(columns.users)
            position[logged.partition] = max(position.get(logged.partition, -1), logged.offset)
            columns.add(logged.event)
    table = columns.table(assign(columns.item_ids))
    complete = _complete(items, table, columns.item_ids)
    return TrainingData(table, complete, position, len(table) if new_from is None else new_from)


def from_events(
    events: Iterable[ActivityEvent], items: Sequence[CatalogueItem], policy: EventPolicy | None = None
) -> TrainingData:
    """Return events that come from no log; indexes follow the order of `items`, then of first use."""
    columns = _Columns(policy or EventPolicy())
    index = {item.item_id: place for place, item in enumerate(items, start=1)}
    for event in events:
        columns.add(event)
        index.setdefault(event.item_id, len(index) + 1)
    table = columns.table([index[item_id] for item_id in columns.item_ids])
    return TrainingData(table, _complete(dict(enumerate(items, start=1)), table, columns.item_ids))


def _complete(
    items: Mapping[int, CatalogueItem], table: EventTable, item_ids: Sequence[str]
) -> dict[int, CatalogueItem]:
    """Return `items` with a bare entry for every index that only events name."""
    complete = dict(items)
    for index, item_id in zip(table.items.tolist(), item_ids, strict=True):
        if index not in complete:
            complete[index] = CatalogueItem(item_id=item_id)
    return complete
