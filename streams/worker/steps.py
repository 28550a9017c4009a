"""Steps 2 to 7 of a micro-batch, run once; `processor` decides what to do when they fail."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from millrace.kernel.contracts import EventPolicy
from millrace.kernel.errors import PoisonError, Reason
from millrace.kernel.topics import Topics
from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.runtime.claims import Claim, PartitionGate
from millrace.runtime.crash import CrashPoint, never
from millrace.runtime.dead_letters import dead_letter
from millrace.runtime.records import Decoded, OutgoingRecord
from millrace.runtime.step_times import StepTimes
from millrace.stores.redis.values import PartitionCommit, PartitionFinish, ServedUpdate
from millrace.streams.ranking.exploration import shown_counts
from millrace.streams.worker.dependencies import Dependencies, ListRequest, MadeList
from millrace.streams.worker.overload import ListPolicy
from millrace.streams.worker.plan import BatchEvent, BatchPlan, ListOrder, PartitionChange, plan_batch
from millrace.streams.worker.recommendations import encode_recommendation, recommendation_id

RECOMMENDATIONS = "recommendations"
# Counters of events without a list of their own begin like this; the reason follows.
LEFT_OUT = "left_out:"


@dataclass(frozen=True, slots=True)
class _Answer:
    """A valid event with the list that answers it, as made and as published."""

    cause: Decoded
    user_id: str
    made: MadeList
    value: bytes


class BatchSteps:
    """Reads, plans, commits, makes lists, publishes and finishes one batch.

    Args:
        policy: What `decode_event` accepts.
        topics: Topic names.
        outside: The services a batch touches.
        gate: Knows how far each claimed partition has come.
        crash: Crash points for the recovery tests.
        list_policy: Which events of a backlog get no list.
    """

    def __init__(
        self,
        policy: EventPolicy,
        topics: Topics,
        outside: Dependencies,
        gate: PartitionGate,
        crash: CrashPoint = never,
        list_policy: ListPolicy | None = None,
    ) -> None:
        self._policy = policy
        self._topics = topics
        self._outside = outside
        self._gate = gate
        self._crash = crash
        self._list_policy = list_policy or ListPolicy()
        self.times = StepTimes()

    async def run(self, batch: Sequence[Decoded], claims: Mapping[int, Claim], backlog: bool = False) -> None:
        """Run steps 2 to 7 once; repeating them is safe.

        Args:
            batch: Records of claimed partitions, offsets growing within a partition.
            claims: The claim of every partition of the batch.
            backlog: Leave out lists that come too late to be looked at.

        Raises:
            FencedError: A partition was lost.
            TransientError: A service is away; run the batch again.
        """
        ends = _ends(batch)
        self._crash("read")
        with self.times.measure("read"):
            batch, events, states = await self._read(batch)
        self._crash("plan")
        with self.times.measure("plan"):
            watermarks = {partition: claims[partition].state for partition in ends}
            plan = plan_batch(states, events, ends, watermarks, self._outside.lists.grader())
        self._crash("commit")
        with self.times.measure("commit"):
            await self._commit(plan, claims)
        self._crash("lists")
        with self.times.measure("lists"):
            left_out = self._list_policy.left_out(batch, _now_ms()) if backlog else {}
            answers = await self._answer(batch, plan.lists, left_out)
        self._crash("publish")
        with self.times.measure("publish"):
            await self._publish(batch, answers)
        self._crash("finish")
        with self.times.measure("finish"):
            await self._finish(batch, answers, left_out, claims)
        self._crash("ack")

    async def _read(self, batch: Sequence[Decoded]) -> tuple[list[Decoded], list[BatchEvent], dict[str, UserState]]:
        """Step 2: users in one pipeline, unknown items in one call."""
        indexes = await self._outside.items.resolve([item.event.item_id for item in batch if item.event is not None])
        judged = [self._in_its_partition(_with_known_item(item, indexes)) for item in batch]
        events = [
            BatchEvent(
                item.record.partition,
                item.record.offset,
                ResolvedEvent.of(event, indexes[event.item_id], self._policy),
            )
            for item in judged
            if (event := item.event) is not None
        ]
        users = list(dict.fromkeys(each.event.user_id for each in events))
        states = await self._outside.users.load(users) if users else []
        return judged, events, dict(zip(users, states, strict=True))

    def _in_its_partition(self, item: Decoded) -> Decoded:
        home = self._outside.users.home(item.event.user_id) if item.event is not None else None
        if home is None or home == item.record.partition:
            return item
        sentence = (
            f"The record is in partition {item.record.partition}, but Kafka's default partitioner puts it in {home}."
        )
        return Decoded(item.record, None, PoisonError(Reason.WRONG_PARTITION, sentence))

    async def _commit(self, plan: BatchPlan, claims: Mapping[int, Claim]) -> None:
        """Step 4: one script call per partition, all in one round trip."""
        if not plan.changes:
            return
        await self._outside.users.commit([_commit(change, claims[change.partition].owner) for change in plan.changes])
        for change in plan.changes:
            owner = claims[change.partition].owner
            self._gate.advance(change.partition, owner, state=change.new_state, done=-1)

    async def _answer(
        self, batch: Sequence[Decoded], orders: Sequence[ListOrder], left_out: Mapping[int, str]
    ) -> list[_Answer]:
        """Steps 5 and 6 up to the bytes: one list per valid event that is not left out."""
        valid = [place for place, item in enumerate(batch) if item.event is not None]
        wanted = [(batch[place], order) for place, order in zip(valid, orders, strict=True) if place not in left_out]
        if not wanted:
            return []
        requests = [
            ListRequest(
                recommendation_id(item.record, order.cause.event.event_id), order.state, order.cause.event.ts_ms
            )
            for item, order in wanted
        ]
        made = await self._outside.lists.make(requests)
        now_ms = _now_ms()
        return [_encoded(item, each, now_ms) for (item, _), each in zip(wanted, made, strict=True)]

    async def _publish(self, batch: Sequence[Decoded], answers: Sequence[_Answer]) -> None:
        """Step 6: everything at once, returning when all of it is acknowledged."""
        outgoing = [
            OutgoingRecord(self._topics.recommendations, answer.user_id.encode(), answer.value) for answer in answers
        ]
        outgoing += [
            dead_letter(self._topics.dead_letters, item.record, item.poison)
            for item in batch
            if item.poison is not None
        ]
        await self._outside.publisher.publish(outgoing)

    async def _finish(
        self,
        batch: Sequence[Decoded],
        answers: Sequence[_Answer],
        left_out: Mapping[int, str],
        claims: Mapping[int, Claim],
    ) -> None:
        """Step 7: the lists as served, the counters and the `done` watermark, atomically per partition."""
        failures = self._outside.lists.take_counters()
        finishes = []
        for partition, done in _ends(batch).items():
            mine = [answer for answer in answers if answer.cause.record.partition == partition]
            counters = _dead_counters(item for item in batch if item.record.partition == partition)
            counters.update(_list_counters(mine))
            counters.update(
                LEFT_OUT + reason for place, reason in left_out.items() if batch[place].record.partition == partition
            )
            counters.update(failures)
            failures = {}
            served = {answer.user_id: _served(answer) for answer in mine}
            updates = list(served.values())
            finishes.append(
                PartitionFinish(partition, claims[partition].owner, done, updates, counters, _shown_counters(updates))
            )
        await self._outside.users.finish_all(finishes)
        for finish in finishes:
            self._gate.advance(finish.partition, finish.owner, state=-1, done=finish.done)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _ends(batch: Sequence[Decoded]) -> dict[int, int]:
    """Return the last offset of each partition."""
    return {item.record.partition: item.record.offset for item in batch}


def _with_known_item(item: Decoded, indexes: Mapping[str, int]) -> Decoded:
    if item.event is None or item.event.item_id in indexes:
        return item
    sentence = f"The item {item.event.item_id!r} is unknown, and events may not register items here."
    return Decoded(item.record, None, PoisonError(Reason.UNKNOWN_ITEM, sentence))


def _commit(change: PartitionChange, owner: str) -> PartitionCommit:
    return PartitionCommit(
        partition=change.partition,
        owner=owner,
        expected_state=change.expected_state,
        new_state=change.new_state,
        users=list(change.users.values()),
        new_touched=change.new_touched,
        grades=change.grades,
        counters=change.counters,
        explored=change.explored,
    )


def _encoded(item: Decoded, made: MadeList, now_ms: int) -> _Answer:
    event = item.event
    if event is None:
        raise AssertionError("only valid events are answered")
    value = encode_recommendation(item.record, event, now_ms, made.served.version, made.arm, made.fallback, made.items)
    return _Answer(item, event.user_id, made, value)


def _served(answer: _Answer) -> ServedUpdate:
    return ServedUpdate(answer.user_id, answer.made.served, answer.made.proposals, answer.value)


def _dead_counters(batch: Iterable[Decoded]) -> Counter[str]:
    return Counter(f"dead:{item.poison.reason}" for item in batch if item.poison is not None)


def _list_counters(answers: Sequence[_Answer]) -> Counter[str]:
    counters = Counter(f"fallback:{answer.made.fallback}" for answer in answers if answer.made.fallback)
    if answers:
        counters[RECOMMENDATIONS] = len(answers)
    return counters


def _shown_counters(updates: Iterable[ServedUpdate]) -> Counter[str]:
    """Count what was explored in the lists that users were left with: those that their next event can answer."""
    counts: Counter[str] = Counter()
    for update in updates:
        if update.served.explored:
            counts.update(shown_counts(update.served.explored))
    return counts
