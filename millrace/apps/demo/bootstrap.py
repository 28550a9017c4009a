"""From an empty stack to a serving one: history into log and Redis, roles started, first model in service."""

import asyncio
import time
from collections.abc import Callable

from millrace.apps.demo.view import StoreView
from millrace.apps.stacks.roles import Roles
from millrace.consumers.importing import import_history
from millrace.kernel.errors import FatalError
from millrace.kernel.settings import Settings
from millrace.producers.movielens import MovieLensData
from millrace.stores.event_log import open_event_log
from millrace.stores.redis.connect import connected
from millrace.streams.rebuild import rebuild

TRAINING_DEADLINE_S = 600.0
READY_DEADLINE_S = 120.0
_SERVING_ROLES = ("worker", "statistics", "log-writer")
_POLL_S = 0.1
# Writing the log takes about a third as long as rebuilding Redis from it.
_LOG_SHARE = 0.25

Progress = Callable[[float], None]


def load_history(data: MovieLensData, share: float, settings: Settings, on_progress: Progress) -> int:
    """Write the oldest `share` of the ratings into the event log and Redis; return how many events that were."""
    first, last = data.bounds(0.0, share)
    log = open_event_log(settings)

    async def fill_redis() -> None:
        async with connected(settings) as redis:
            await rebuild(
                log,
                redis,
                settings,
                lambda done, total: on_progress(_LOG_SHARE + (1 - _LOG_SHARE) * done / total),
            )

    try:
        import_history(
            log, data.items, data.slice(first, last), lambda done: on_progress(_LOG_SHARE * done / (last - first))
        )
        asyncio.run(fill_redis())
    finally:
        log.close()
    return last


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
    """Wait until every role has been heard from.

    Raises:
        FatalError: It took too long, or a role keeps ending.
    """

    def all_heard() -> bool:
        return all(view.heartbeat(role) is not None for role in _SERVING_ROLES)

    wait_for(all_heard, READY_DEADLINE_S, roles, "Not every role has started")


def wait_for(condition: Callable[[], bool], timeout_s: float, roles: Roles, failure: str) -> None:
    """Wait for a condition while watching the roles.

    Raises:
        FatalError: It did not come true in time, or a role keeps ending.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        roles.supervise()
        if time.monotonic() > deadline_s:
            raise FatalError(f"{failure} within {timeout_s:.0f} s; the logs in the home folder tell why.")
        time.sleep(_POLL_S)
