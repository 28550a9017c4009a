"""Step 3 of a micro-batch, pure: from user states and events to new states, grades and the lists to make."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.stores.redis.values import LiveGrade
from millrace.streams.ranking.exploration import taken_counts

EVENTS_APPLIED = "events_applied"
DUPLICATES = "duplicates"

# Grades the list a user was last shown, before the event with this item changes anything; None: nothing to grade.
Grader = Callable[[UserState, int], LiveGrade | None]


@dataclass(frozen=True, slots=True)
class BatchEvent:
    """A valid event with its place in the topic.

    Args:
        partition: Partition of the events topic.
        offset: Offset in it.
        event: What happened, its item resolved to an index.
    """

    partition: int
    offset: int
    event: ResolvedEvent


@dataclass(frozen=True, slots=True)
class ListOrder:
    """A list to make: for the state right after its own event.

    Args:
        cause: The event that is answered.
        state: The user's state that the list is made from.
    """

    cause: BatchEvent
    state: UserState


@dataclass(slots=True)
class PartitionChange:
    """What a batch changes in one partition.

    Args:
        partition: Partition of the events topic.
        expected_state: The `state` watermark the change was computed from.
        new_state: Last offset of the batch in this partition.
        users: New states by user id.
        new_touched: Per user the items touched for the first time, in order.
        grades: One per first touch.
        counters: Increments by counter name.
        explored: Increments of the exploration counts.
    """

    partition: int
    expected_state: int
    new_state: int
    users: dict[str, UserState] = field(default_factory=dict)
    new_touched: dict[str, list[int]] = field(default_factory=dict)
    grades: list[LiveGrade] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    explored: Counter[str] = field(default_factory=Counter)

    def count(self, name: str) -> None:
        """Add one to a counter."""
        self.counters[name] = self.counters.get(name, 0) + 1


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """What to write and which lists to make.

    Args:
        changes: Partitions whose `state` watermark moves; one that only repeats old offsets is not among them.
        lists: One order per event, in the order of the events.
    """

    changes: Sequence[PartitionChange]
    lists: Sequence[ListOrder]


def plan_batch(
    states: Mapping[str, UserState],
    events: Sequence[BatchEvent],
    ends: Mapping[int, int],
    watermarks: Mapping[int, int],
    grade: Grader,
) -> BatchPlan:
    """Apply a micro-batch to the states it was read with.

    Offsets up to the `state` watermark change nothing (they were applied before a crash), but their lists are made
    again. Several events of one user are applied in order, each list from the state after its own event. A user's
    events all lie in one partition of the batch.

    Args:
        states: State of every user of the batch, as stored.
        events: The valid events, offsets growing within a partition.
        ends: Last offset of the batch by partition, invalid records included.
        watermarks: The `state` watermark by partition.
        grade: Grades the list shown before an event.

    Returns:
        The changes and the lists; the same arguments give the same plan.
    """
    current = dict(states)
    changes = {
        partition: PartitionChange(partition, watermarks[partition], end)
        for partition, end in sorted(ends.items())
        if end > watermarks[partition]
    }
    lists = []
    for item in events:
        user_id = item.event.user_id
        if item.offset > watermarks[item.partition]:
            current[user_id] = _apply(changes[item.partition], current[user_id], item.event, grade)
        lists.append(ListOrder(item, current[user_id]))
    return BatchPlan(list(changes.values()), lists)


def _apply(change: PartitionChange, before: UserState, event: ResolvedEvent, grade: Grader) -> UserState:
    applied = apply_event(before, event)
    if applied.duplicate:
        change.count(DUPLICATES)
        return before
    change.count(EVENTS_APPLIED)
    change.users[event.user_id] = applied.state
    if applied.first_touch:
        change.new_touched.setdefault(event.user_id, []).append(event.item)
        if event.weight > 0.0:
            _grade(change, before, event.item, grade)
    return applied.state


def _grade(change: PartitionChange, before: UserState, item: int, grade: Grader) -> None:
    graded = grade(before, item)
    if graded is not None:
        change.grades.append(graded)
    if before.served is not None and before.served.explored == item:
        change.explored.update(taken_counts(item))
