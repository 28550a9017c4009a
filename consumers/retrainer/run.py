"""The process `millrace retrainer`."""

import asyncio
import signal
from dataclasses import asdict

from consumers.event_log import EventLog, open_event_log
from consumers.heartbeat import Heartbeat
from consumers.retrainer.child import TrainingChild
from consumers.retrainer.retrainer import Retrainer
from consumers.retrainer.schedule import Schedule
from consumers.retrainer.service import Service
from consumers.retrainer.state import RetrainerStatus
from millrace.config import Settings
from model.registry import Registry
from model.triton_admin import make_admin
from streams.faust_health import HealthServer
from streams.store.connect import connect
from streams.store.stores import make_stores

ROLE = "retrainer"


def run_retrainer(settings: Settings, schedule: Schedule, once: bool = False) -> RetrainerStatus:
    """Retrain until SIGTERM or SIGINT, or one time.

    Returns:
        What was done last.

    Raises:
        MillraceError: With `once`: the training failed. Else: what stops the process.
    """
    log = open_event_log(settings)
    try:
        return asyncio.run(_run(settings, log, schedule, once))
    finally:
        log.close()


async def _run(settings: Settings, log: EventLog, schedule: Schedule, once: bool) -> RetrainerStatus:
    redis = connect(settings)
    stores = make_stores(redis, settings)
    server = make_admin(settings)
    service = Service(Registry(settings.registry_dir), server, stores)
    retrainer = Retrainer(log, stores, service, TrainingChild(settings), schedule)
    # In this loop: an answer means that the retrainer still takes turns, also while its child trains.
    health = HealthServer(lambda: (True, asdict(retrainer.status)), settings.health_host, settings.health_port)
    await health.start()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, retrainer.stop)
    try:
        with Heartbeat(settings, ROLE, lambda: asdict(retrainer.status)):
            await (retrainer.run_once() if once else retrainer.run())
    finally:
        await health.stop()
        server.close()
        await redis.aclose()
    return retrainer.status
