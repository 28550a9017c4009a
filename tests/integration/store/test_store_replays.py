"""Whatever crashes, repeats and takeovers happen, the stored state is what the pure function computes from the events.

A small worker runs the steps of a micro-batch against a real server and is killed where hypothesis says: after reading,
after the commit, after its answer was lost, after the lists were recorded. A zombie of the owner before tries to write.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.kernel.user_state import Applied, ResolvedEvent, ServedList, UserState, apply_event
from millrace.stores.redis.stores import Stores, open_stores
from millrace.stores.redis.values import (
    FencedError,
    LiveGrade,
    PartitionCommit,
    PartitionFinish,
    ServedUpdate,
    Watermark,
)

pytestmark = pytest.mark.services

PARTITIONS = 2
USERS = [f"user-{number}" for number in range(5)]
# Where Kafka puts a user.
KEYS = Keys(partitions=PARTITIONS)
CRASH_POINTS = ("none", "after_load", "after_commit", "commit_twice", "after_finish", "finish_twice")

Log = dict[int, list[ResolvedEvent]]


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Events of a few users on their partitions; some event ids repeat, some times are equal or out of order."""
    raw = draw(
        st.lists(
            st.tuples(
                st.integers(0, 25), st.sampled_from(USERS), st.integers(1, 12), st.integers(1, 10), st.integers(0, 9)
            ),
            min_size=1,
            max_size=40,
        )
    )
    log: Log = {partition: [] for partition in range(PARTITIONS)}
    for event_id, user_id, item, half_stars, ts_ms in raw:
        event = ResolvedEvent(f"event-{event_id}", user_id, item, half_stars / 2, 1000 + ts_ms)
        log[KEYS.home(user_id) or 0].append(event)
    return log


runs = st.lists(st.tuples(st.integers(1, 9), st.sampled_from(CRASH_POINTS)), max_size=12)


@dataclass
class Crash(Exception):
    """The simulated worker is gone."""


@dataclass
class Worker:
    """One life of a worker: claims everything, resumes, and works until it is told to crash."""

    stores: Stores
    owner: str
    log: Log
    marks: dict[int, Watermark] = field(default_factory=dict)

    async def start(self) -> None:
        self.marks = {partition: await self.stores.users.claim(partition, self.owner) for partition in self.log}

    async def batch(self, size: int, crash: str) -> bool:
        """Handle up to `size` events of each partition; returns whether there was anything."""
        parts = {
            partition: list(enumerate(events))[self.marks[partition].done + 1 :][:size]
            for partition, events in self.log.items()
        }
        parts = {partition: part for partition, part in parts.items() if part}
        users = sorted({event.user_id for part in parts.values() for _, event in part})
        states = dict(zip(users, await self.stores.users.load(users), strict=True))
        commits = [self.commit_of(partition, part, states) for partition, part in parts.items()]
        commits = [commit for commit in commits if commit.new_state > commit.expected_state]
        if crash == "after_load":
            raise Crash
        for _ in range(2 if crash == "commit_twice" else 1):
            await self.stores.users.commit(commits)
        if crash in ("after_commit", "commit_twice"):
            raise Crash
        for partition, part in parts.items():
            await self.finish(partition, part, twice=crash == "finish_twice")
        if crash == "after_finish":
            raise Crash
        return bool(parts)

    def commit_of(
        self, partition: int, part: Sequence[tuple[int, ResolvedEvent]], states: dict[str, UserState]
    ) -> PartitionCommit:
        expected = self.marks[partition].state
        before = {user: len(state.touched) for user, state in states.items()}
        applied: list[Applied] = []
        for offset, event in part:
            if offset > expected:
                applied.append(apply_event(states[event.user_id], event))
                states[event.user_id] = applied[-1].state
        changed = [states[user] for user in sorted({event.user_id for _, event in part})]
        return PartitionCommit(
            partition,
            self.owner,
            expected,
            max(part[-1][0], expected),
            changed,
            {state.user_id: state.touched[before[state.user_id] :].tolist() for state in changed},
            [LiveGrade("v1", "champion", True, 0.5, False, 0.0) for each in applied if each.first_touch],
            {
                "events_applied": sum(not each.duplicate for each in applied),
                "duplicates": sum(each.duplicate for each in applied),
            },
            {"taken": sum(each.first_touch for each in applied)},
        )

    async def finish(self, partition: int, part: Sequence[tuple[int, ResolvedEvent]], twice: bool) -> None:
        done = part[-1][0]
        served = [
            ServedUpdate(event.user_id, ServedList((offset,), "v1", "champion", f"{partition}-{offset}"), None)
            for offset, event in part
        ]
        for _ in range(2 if twice else 1):
            finish = PartitionFinish(
                partition, self.owner, done, served, {"recommendations": len(part)}, {"shown": len(part)}
            )
            await self.stores.users.finish_all([finish])
        self.marks[partition] = Watermark(max(self.marks[partition].state, done), done)


async def zombie_writes(stores: Stores, worker: Worker) -> None:
    """Let an owner that was replaced try to write over everything."""
    for partition in worker.log:
        user_id = next(name for name in USERS if KEYS.home(name) == partition)
        garbage = UserState(user_id, 99, 99.0, touched=np.array([99], np.int32))
        commit = PartitionCommit(partition, worker.owner, -1, 77, [garbage], {user_id: [99]}, [], {"events_applied": 9})
        for expected in range(-1, len(worker.log[partition])):
            moved = PartitionCommit(partition, worker.owner, expected, 77, commit.users, commit.new_touched)
            with pytest.raises(FencedError):
                await stores.users.commit([moved])
        with pytest.raises(FencedError):
            await stores.users.finish(partition, worker.owner, 77, [], {"recommendations": 9})


def recomputed(log: Log) -> tuple[dict[str, UserState], list[Applied]]:
    """Apply every event once, in the order of each partition."""
    states: dict[str, UserState] = {}
    applied = []
    for events in log.values():
        for event in events:
            applied.append(apply_event(states.get(event.user_id, UserState(event.user_id)), event))
            states[event.user_id] = applied[-1].state
    return states, applied


async def run_to_the_end(config: Settings, log: Log, lives: Sequence[tuple[int, str]]) -> None:
    async with open_stores(config) as stores:
        zombie = None
        for life, (size, crash) in enumerate([*lives, (7, "none")]):
            worker = Worker(stores, f"owner-{life}", log)
            await worker.start()
            if zombie is not None:
                await zombie_writes(stores, zombie)
            with suppress(Crash):
                while await worker.batch(size, crash):
                    pass
            zombie = worker
        await check_against(stores, log)


async def check_against(stores: Stores, log: Log) -> None:
    expected, applied = recomputed(log)
    for state in await stores.users.load(list(expected)):
        want = expected[state.user_id]
        assert (state.count, state.value_sum) == (want.count, want.value_sum)
        for name in ("items", "values", "ts_ms", "event_hashes", "touched"):
            assert getattr(state, name).tolist() == getattr(want, name).tolist(), name
        assert state.served is not None
    counters = await stores.serving.counters()
    assert counters.get("events_applied", 0) == sum(not each.duplicate for each in applied)
    assert counters.get("duplicates", 0) == sum(each.duplicate for each in applied)
    assert counters["recommendations"] == len(applied)
    explored = await stores.serving.exploration(["shown", "taken"])
    assert explored == {"shown": len(applied), "taken": sum(each.first_touch for each in applied)}
    graded = sum(each.first_touch for each in applied)
    live = (await stores.serving.live())["v1", "champion"]
    assert (live["events"], live["hits"], live["ndcg"]) == (graded, graded, graded / 2)
    ends = {partition: Watermark(len(events) - 1, len(events) - 1) for partition, events in log.items()}
    assert await stores.users.watermarks("worker", "millrace.events") == ends


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=logs(), lives=runs)
def test_state_equals_a_recomputation_whatever_crashes(store_url: str, log: Log, lives: list[tuple[int, str]]) -> None:
    config = Settings(redis_url=store_url, redis_prefix=f"replay-{uuid4().hex}:", topic_partitions=PARTITIONS)
    asyncio.run(run_to_the_end(config, log, lives))
