"""From an empty stack to a serving one: history in log and Redis, roles started, first model in service."""

import asyncio
import time
from collections.abc import Callable

from millrace.apps.measuring.store_view import StoreView
from millrace.apps.stacks.roles import Roles
from millrace.consumers.importing import import_history
from millrace.kernel.errors import FatalError
from millrace.kernel.settings import Settings
from millrace.producers.movielens import MovieLensData
from millrace.stores.event_log import IMPORT_PARTITION, EventLog, open_event_log
from millrace.stores.redis.connect import connected
from millrace.streams.rebuild import rebuild

TRAINING_DEADLINE_S = 600.0
# A first start may compile kernels, on cores that other work shares.
READY_DEADLINE_S = 300.0
# A heartbeat begins before kernels are compiled or loaded; these roles ask for partitions after that.
_WARMED_UP_ROLES = ("worker", "statistics")
_POLL_S = 0.1
# Writing the log takes about a third as long as rebuilding Redis from it.
_LOG_SHARE = 0.25

Progress = Callable[[float], None]


def load_history(
    data: MovieLensData,
    share: float,
    settings: Settings,
    on_progress: Progress,
    on_catalogue: Callable[[], None] = lambda: None,
) -> int:
    """Write the oldest part of the ratings into the event log and Redis.

    Args:
        data: The ratings.
        share: How much of them, 0 to 1.
        settings: Of the running stack.
        on_progress: Called with the share that is done, 0 to 1.
        on_catalogue: Called once, when the log is complete and Redis knows every item: a retrainer can start.

    Returns:
        How many events were written.
    """
    first, last = data.bounds(0.0, share)
    log = open_event_log(settings)
    called = False

    def on_rebuilt(done: int, total: int) -> None:
        nonlocal called
        if not called:
            called = True
            on_catalogue()
        on_progress(_LOG_SHARE + (1 - _LOG_SHARE) * done / total)

    async def fill_redis() -> None:
        async with connected(settings) as redis:
            await rebuild(log, redis, settings, on_rebuilt)

    try:
        import_history(
            log, data.items, data.slice(first, last), lambda done: on_progress(_LOG_SHARE * done / (last - first))
        )
        asyncio.run(fill_redis())
    finally:
        log.close()
    return last


def streamed_events(log: EventLog) -> int:
    """Return how many events of the log came through Kafka, not by import."""
    return log.count({IMPORT_PARTITION: log.end().get(IMPORT_PARTITION, -1)})


def await_model(roles: Roles, view: StoreView, on_progress: Progress) -> None:
    """Wait until the first version serves.

    Raises:
        FatalError: It took too long, or a role keeps ending.
    """

    def trained() -> bool:
        fraction = (view.heartbeat("retrainer") or {}).get("fraction")
        if isinstance(fraction, float):
            on_progress(fraction)
        return view.plan().champion is not None

    wait_for(trained, TRAINING_DEADLINE_S, roles, "The first model was not trained")


def await_roles(roles: Roles, view: StoreView) -> None:
    """Wait until worker and statistics hold their partitions and the log writer has sent a heartbeat.

    Raises:
        FatalError: It took too long, or a role keeps ending.
    """

    def all_ready() -> bool:
        warm = ((view.heartbeat(role) or {}).get("partitions") for role in _WARMED_UP_ROLES)
        return all(warm) and view.heartbeat("log-writer") is not None

    wait_for(all_ready, READY_DEADLINE_S, roles, "Not every role has started")


def wait_for(condition: Callable[[], bool], timeout_s: float, roles: Roles, failure: str) -> None:
    """Wait for a condition and restart roles that end meanwhile.

    Raises:
        FatalError: It did not become true in time, or a role keeps ending.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        roles.supervise()
        if time.monotonic() > deadline_s:
            raise FatalError(f"{failure} within {timeout_s:.0f} s; see the logs in the home folder.")
        time.sleep(_POLL_S)
