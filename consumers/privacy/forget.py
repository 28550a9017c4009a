"""Removing a user from the event log and from Redis while all roles run.

1. The keeper's memory of the user is emptied under a claim of its partitions. Its position at that moment decides which
   events are forgotten; later ones start from an empty memory, as they do when the log is read again.
2. These events leave the log. What stays of them there carries no name; it is what the keeper has counted.
3. The user's state, which the workers hold, is replaced under claims by what the later events make of an empty state. A
   worker's batch under way is refused and done again, so no worker goes on from the old state.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from millrace.consumers.privacy.events import events_of, repeated
from millrace.kernel.contracts import EventPolicy
from millrace.kernel.errors import TransientError
from millrace.kernel.settings import Settings
from millrace.kernel.user_state import UserState
from millrace.stores.event_log import IMPORT_PARTITION, EventLog, LoggedEvent
from millrace.stores.redis.redis_statistics import KEEPER_ROLE
from millrace.stores.redis.redis_users import WORKER_ROLE
from millrace.stores.redis.replacing import StatisticsReplacement, UserReplacement
from millrace.stores.redis.stores import Stores
from millrace.streams.rebuild.checkpoint import remove_checkpoint
from millrace.streams.rebuild.fence import Fence
from millrace.streams.rebuild.targets import Target
from millrace.streams.replay import Coverage, ItemIndexes, UserReplay
from millrace.streams.verify.side import marks_of

WAIT_S = 30.0
_BEFORE_ALL = -1
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was done.

    Args:
        user_id: The user.
        events: Events removed from the log.
        was_in_redis: Whether Redis held a profile.
        checkpoint_removed: Whether the progress of a rebuild was deleted, which may have held the person's data.
    """

    user_id: str
    events: int
    was_in_redis: bool
    checkpoint_removed: bool


async def forget(log: EventLog, stores: Stores, settings: Settings, user_id: str, wait_s: float = WAIT_S) -> Forgotten:
    """Remove a user; a second call removes what has come since, or what an interrupted attempt has left.

    After an attempt that was interrupted between keeper and log, an event that is repeated is counted once more by the
    keeper, until `rebuild`.

    Args:
        log: The event log.
        stores: Open stores.
        settings: Names and policy.
        user_id: The user.
        wait_s: How long to wait until workers and keeper have handled the person's events.

    Raises:
        ConfigurationError: The log ends before the position of the running roles, and no log writer runs.
        TransientError: Events of the person are not handled yet, or Redis or the log does not answer; forget again.
    """
    await _until_handled(stores, settings, events_of(log, user_id), wait_s)
    removal = _Removal(log, stores, settings, user_id)
    position = await removal.from_keeper()
    events = [each for each in events_of(log, user_id) if each.offset <= position.get(each.partition, _BEFORE_ALL)]
    await _until_handled(stores, settings, events, wait_s)
    (state,) = await stores.users.load([user_id])
    removed = log.forget(events, repeated(events, settings.event_policy))
    checkpoint_removed = remove_checkpoint(settings)
    await removal.from_workers(position)
    return Forgotten(user_id, removed, state.count > 0, checkpoint_removed)


async def _until_handled(stores: Stores, settings: Settings, events: list[LoggedEvent], wait_s: float) -> None:
    """Wait until every role has handled a user's events: those left in the topic would come back."""
    last = {each.partition: each.offset for each in events if each.partition >= 0}
    deadline = time.monotonic() + wait_s
    for role in (WORKER_ROLE, KEEPER_ROLE):
        while True:
            marks = await marks_of(stores.users, role, settings.topics.events)
            left = {each: offset for each, offset in last.items() if marks.get(each, -1) < offset}
            if not left:
                break
            if time.monotonic() >= deadline:
                raise TransientError(
                    f"The {role} role has yet to handle events of this user (up to offset {left}, it is at {marks}): "
                    "they would come back from the topic. Start it, wait until it has caught up, and forget again."
                )
            await asyncio.sleep(_LOOK_S)


class _PersonReplay(UserReplay):
    """Applies one person's events.

    Args:
        policy: What an event without a value is worth.
        user_id: The user.
        position: Up to where nothing of them is left.
    """

    def __init__(self, policy: EventPolicy, user_id: str, position: dict[int, int]) -> None:
        super().__init__(policy, {}, position)
        self._user_id = user_id

    @property
    def state(self) -> UserState:
        """The person's state by the events applied."""
        return self.users.get(self._user_id) or UserState(self._user_id)

    def apply(self, logged: LoggedEvent, item: int | None) -> None:
        """Apply one event if it is theirs."""
        super().apply(logged, item if logged.event.user_id == self._user_id else None)


class _Removal:
    """Takes a person out of Redis.

    Args:
        log: The event log.
        stores: Open stores.
        settings: Names and policy.
        user_id: The user.
    """

    def __init__(self, log: EventLog, stores: Stores, settings: Settings, user_id: str) -> None:
        self._log = log
        self._stores = stores
        self._settings = settings
        self._topic = settings.topics.events
        self._user_id = user_id

    async def from_keeper(self) -> dict[int, int]:
        """Empty what the keeper remembers; returns the last offset of each partition that it had learned."""
        replacement = StatisticsReplacement(self._stores.redis, self._stores.keys, self._topic)
        position: dict[int, int] = {}

        async def write(owner: str, marks: Mapping[int, int]) -> bool:
            imported = self._log.end().get(IMPORT_PARTITION, _BEFORE_ALL)
            position.update({**marks, IMPORT_PARTITION: imported})
            return await replacement.replace_tails({self._user_id: b""}, owner, marks)

        # Nothing is recomputed: the log only has to reach as far as the keeper.
        await (await self._fence(replacement, self._replay(self._log.end()))).write(write)
        return position

    async def from_workers(self, position: dict[int, int]) -> None:
        """Replace what the workers hold by what follows from the events after a position."""
        replacement = UserReplacement(self._stores.redis, self._stores.keys, self._topic)
        replay = self._replay(position)

        async def write(owner: str, marks: Mapping[int, int]) -> bool:
            # Deleted first: with it go the lists shown.
            removed = await replacement.replace([UserState(self._user_id)], owner, marks)
            return removed and await replacement.replace([replay.state], owner, marks)

        await (await self._fence(replacement, replay)).write(write)

    def _replay(self, position: dict[int, int]) -> _PersonReplay:
        return _PersonReplay(self._settings.event_policy, self._user_id, position)

    async def _fence(self, claims: UserReplacement | StatisticsReplacement, replay: _PersonReplay) -> Fence:
        async def marks() -> dict[int, int]:
            return await marks_of(self._stores.users, claims.role, self._topic)

        indexes = ItemIndexes(self._stores.catalogue, self._settings.register_unknown_items)
        coverage = Coverage(self._log, self._stores.serving)
        return Fence(claims, marks, Target(await marks()), self._log, replay, indexes, coverage)
