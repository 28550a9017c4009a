"""Checks that must hold once everything is caught up, after any fault."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np

from millrace.kernel.errors import TransientError
from millrace.kernel.settings import Settings
from millrace.kernel.user_state import UserState
from millrace.load_tests.recovery.expected import Expected, ExpectedUser
from millrace.load_tests.recovery.ledger import Ledger, Place
from millrace.stores.event_log import EventLog, LoggedEvent, open_event_log
from millrace.stores.redis.connect import connect
from millrace.stores.redis.redis_statistics import KEEPER_ROLE
from millrace.stores.redis.redis_users import WORKER_ROLE
from millrace.stores.redis.stores import Stores, make_stores
from millrace.streams.statistics import ItemStatistics
from millrace.streams.statistics.popularity import CHUNK_ITEMS
from millrace.streams.verify import verify

_Result = TypeVar("_Result")
_TOLERANCE = 1e-6
_DEAD = "dead:"


@dataclass(frozen=True, slots=True)
class Findings:
    """The result of one comparison.

    Args:
        lost: Published events that the log lacks or holds with other content, or that no list answers.
        repeated_lists: Further copies of lists, with the id of the first copy.
        contradictions: Events answered by lists of different ids.
        letters: Broken records without a dead letter, and dead letters of valid records.
        differences: Sentences, one for each difference between Redis and the recomputation.
    """

    lost: int = 0
    repeated_lists: int = 0
    contradictions: int = 0
    letters: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether every guarantee holds; lists may be published twice."""
        return not (self.lost or self.contradictions or self.letters or self.differences)


class Checker:
    """Compares Redis, the event log and the topics with what was published; a context manager for one thread.

    Each comparison covers what is new since the one before, so its cost does not grow with the run.

    Args:
        settings: Addresses of the servers themselves, not of proxies.
        ledger: What was published and what came back.
    """

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._expected = Expected()
        self._position: dict[int, int] = {}
        self._repeated = 0
        # Earlier findings are not reported again.
        self._known_letters: set[Place] = set()
        self._known_contradictions = 0
        self._known_offs: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._runner = asyncio.Runner()
        self._redis = connect(settings)
        self._stores: Stores = make_stores(self._redis, settings)
        self._log: EventLog = open_event_log(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()
        self.run(self._redis.aclose())
        self._runner.close()

    def run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        """Run something on the stores."""
        return self._runner.run(coroutine)

    @property
    def stores(self) -> Stores:
        """The stores in Redis, for use with `run`."""
        return self._stores

    def behind(self) -> str:
        """Return what has not caught up, or an empty string; call it while nothing is being published."""
        events, letters = self._ledger.open()
        if events or letters:
            return f"{events} events have no list and {letters} broken records no dead letter"
        try:
            return self._log_behind() or self._roles_behind()
        except TransientError as error:
            return str(error)

    def look(self) -> Findings:
        """Compare everything; call it once nothing is behind.

        Raises:
            TransientError: A server does not answer.
        """
        published = self._ledger.published(self._position)
        wrong_in_log = self._compare_log(published)
        answers = self._ledger.answers()
        unanswered = {place for place, _ in published} - answers.lists.keys()
        repeated = sum(len(ids) - 1 for ids in answers.lists.values())
        new_repeated, self._repeated = repeated - self._repeated, repeated
        users = self._expected.apply(published)
        self._position.update(self._ledger.ends())
        letters = (self._ledger.broken() ^ answers.letters.keys()) - self._known_letters
        self._known_letters |= letters
        contradictions = sum(len(set(ids)) > 1 for ids in answers.lists.values())
        new_contradictions = contradictions - self._known_contradictions
        self._known_contradictions = contradictions
        return Findings(
            lost=len(wrong_in_log | unanswered),
            repeated_lists=new_repeated,
            contradictions=new_contradictions,
            letters=len(letters),
            differences=self.run(self._differences(users)),
        )

    def verify(self) -> list[str]:
        """Do as `millrace verify` does: recompute everything from the event log, and return each difference.

        What the log is too short to decide counts as a difference: it is complete by then.

        Raises:
            TransientError: A server does not answer.
        """
        verification = self.run(verify(self._log, self._stores, self._settings))
        return [str(difference) for difference in (*verification.differences, *verification.undecided)]

    def _log_behind(self) -> str:
        newest = self._ledger.newest_events()
        ends = self._log.end()
        late = [partition for partition, offset in newest.items() if ends.get(partition, -1) < offset]
        return f"the log lacks events of the partitions {late}" if late else ""

    def _roles_behind(self) -> str:
        topic, ends = self._settings.topics.events, self._ledger.ends()
        for role in (WORKER_ROLE, KEEPER_ROLE):
            marks = self.run(self._stores.users.watermarks(role, topic))
            late = [p for p, end in ends.items() if p not in marks or marks[p].done < end]
            if late:
                return f"{role} has not handled the partitions {late} to their ends"
        return ""

    def _compare_log(self, published: list[tuple[Place, Any]]) -> set[Place]:
        """Return the places where the log and what was published are not the same, each event once."""
        wanted = dict(published)
        logged: Counter[Place] = Counter()
        wrong: set[Place] = set()
        for page in self._log.read(self._position):
            for each in page:
                place = _place(each)
                logged[place] += 1
                if logged[place] > 1 or wanted.get(place) != each.event:
                    wrong.add(place)
        return wrong | (wanted.keys() - logged.keys())

    async def _differences(self, users: set[str]) -> list[str]:
        await self._read_names()
        ids = sorted(users)
        states = await self._stores.users.load(ids) if ids else []
        found = [
            difference
            for user_id, state in zip(ids, states, strict=True)
            for difference in self._user_differences(self._expected.users[user_id], state)
        ]
        return found + await self._count_differences() + await self._statistics_differences()

    def _user_differences(self, expected: ExpectedUser, state: UserState) -> list[str]:
        history = [
            (self._names.get(item, str(item)), value, ts_ms)
            for item, value, ts_ms in zip(
                state.items.tolist(), state.values.tolist(), state.ts_ms.tolist(), strict=True
            )
        ]
        touched = [self._names.get(item, str(item)) for item in state.touched.tolist()]
        pairs: Mapping[str, tuple[object, object]] = {
            "count": (state.count, expected.count),
            "history": (history, expected.history),
            "touched items": (touched, list(expected.touched)),
            "sum of values": (abs(state.value_sum - expected.value_sum) < _TOLERANCE, True),
            "list": (state.served is not None, True),
        }
        return [f"{state.user_id}: the {name} differs" for name, (is_, should) in pairs.items() if is_ != should]

    async def _count_differences(self) -> list[str]:
        counters = await self._stores.serving.counters()
        events, broken = self._ledger.counts
        dead = sum(count for name, count in counters.items() if name.startswith(_DEAD))
        return self._off(
            {
                "events_applied": (counters.get("events_applied", 0), self._expected.applied),
                "duplicates": (counters.get("duplicates", 0), self._expected.repeated),
                "recommendations": (counters.get("recommendations", 0), events),
                "dead letters": (dead, broken),
            }
        )

    async def _statistics_differences(self) -> list[str]:
        """Compare the keeper's counts: all events, and events of each item."""
        scalars = await self._stores.statistics.scalars()
        statistics = ItemStatistics()
        chunks = await self._stores.statistics.popularity(max(self._names, default=0) // CHUNK_ITEMS + 1)
        for number, chunk in enumerate(chunks):
            statistics.load_popularity_chunk(number, chunk)
        counts = statistics.popularity.counts
        learned = {self._names.get(int(item), str(item)): int(counts[item]) for item in np.flatnonzero(counts)}
        items = learned.keys() | self._expected.items.keys()
        found = {f"learned of {item}": (learned.get(item, 0), self._expected.items.get(item, 0)) for item in items}
        found["learned events"] = (int(scalars.get("clock", 0)), self._expected.applied)
        return self._off(found)

    def _off(self, counts: Mapping[str, tuple[int, int]]) -> list[str]:
        """Return each count whose difference from the expected one has changed since the last comparison."""
        found = []
        for name, (is_, should) in sorted(counts.items()):
            off = is_ - should
            if off != self._known_offs.get(name, 0):
                found.append(f"{name}: {is_} instead of {should}")
                self._known_offs[name] = off
        return found

    async def _read_names(self) -> None:
        """Read the ids of items that were registered since the last look."""
        indexes = list(range(len(self._names) + 1, await self._stores.catalogue.count() + 1))
        found = await self._stores.catalogue.item_ids(indexes) if indexes else []
        self._names.update((index, item) for index, item in zip(indexes, found, strict=True) if item is not None)


def _place(logged: LoggedEvent) -> Place:
    return logged.partition, logged.offset
