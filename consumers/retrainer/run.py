"""The process `millrace retrainer`."""

import asyncio
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict

from millrace.consumers.retrainer.child import TrainingChild
from millrace.consumers.retrainer.retrainer import Retrainer
from millrace.consumers.retrainer.schedule import Schedule
from millrace.consumers.retrainer.service import Service
from millrace.consumers.retrainer.state import RetrainerStatus
from millrace.kernel.settings import Settings
from millrace.model.registry import Registry
from millrace.model.triton_admin import make_admin
from millrace.runtime.health import HealthServer
from millrace.runtime.heartbeat import Heartbeat
from millrace.runtime.signals import call_on_signals
from millrace.stores.event_log import EventLog, await_event_log, open_event_log
from millrace.stores.redis.connect import connect
from millrace.stores.redis.stores import make_stores

ROLE = "retrainer"


def run_retrainer(
    settings: Settings, schedule: Schedule, once: bool = False, quick_first: bool = False
) -> RetrainerStatus:
    """Retrain until SIGTERM or SIGINT, or one time.

    Returns:
        What was done last.

    Raises:
        MillraceError: With `once`: the log is away, or the training failed. Else: what stops the process.
    """
    return asyncio.run(_run(settings, schedule, once, quick_first))


class _Role:
    """What signals, health page and heartbeat act on, before the log is open and afterwards."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._retrainer: Retrainer | None = None

    @property
    def status(self) -> RetrainerStatus:
        """What is being done."""
        return self._retrainer.status if self._retrainer else RetrainerStatus(waiting="the event log")

    def health(self) -> tuple[bool, Mapping[str, object]]:
        """Return whether the retrainer makes progress, and what it does."""
        status = self.status
        healthy = self._retrainer is None or self._retrainer.healthy
        return healthy, {**asdict(status), "waiting_for": status.waiting or None}

    def follow(self, retrainer: Retrainer) -> None:
        """Act on a retrainer from now on."""
        self._retrainer = retrainer
        if self.stopped.is_set():
            retrainer.stop()

    def stop(self) -> None:
        """End whatever is under way."""
        self.stopped.set()
        if self._retrainer is not None:
            self._retrainer.stop()


async def _run(settings: Settings, schedule: Schedule, once: bool, quick_first: bool) -> RetrainerStatus:
    role = _Role()
    # In the retrainer's own loop: no answer means that the loop is blocked.
    health = HealthServer(role.health, settings.health_host, settings.health_port)
    await health.start()
    call_on_signals(role.stop)
    try:
        with Heartbeat(settings, ROLE, lambda: asdict(role.status)):
            await _retrain(settings, schedule, once, quick_first, role)
    finally:
        await health.stop()
    return role.status


async def _retrain(settings: Settings, schedule: Schedule, once: bool, quick_first: bool, role: _Role) -> None:
    log = await asyncio.to_thread(_open, settings, role.stopped, once)
    if log is None:
        return
    with closing(log):
        redis = connect(settings)
        stores = make_stores(redis, settings)
        server = make_admin(settings)
        service = Service(Registry(settings.registry_dir), server, stores)
        retrainer = Retrainer(log, stores, service, TrainingChild(settings), schedule, quick_first)
        role.follow(retrainer)
        try:
            await (retrainer.run_once() if once else retrainer.run())
        finally:
            server.close()
            await redis.aclose()


def _open(settings: Settings, stopped: threading.Event, once: bool) -> EventLog | None:
    """Open the log: with `once` a log that is away is an error, otherwise the role waits for it."""
    return open_event_log(settings) if once else await_event_log(settings, stopped)
