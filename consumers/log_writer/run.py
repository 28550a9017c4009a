"""The process `millrace log-writer`."""

import logging
import threading

from millrace.consumers.log_writer.health import LogWriterHealth
from millrace.consumers.log_writer.writer import LogWriter, LogWriterStatus
from millrace.kernel.settings import Settings
from millrace.runtime.health import BackgroundHealth
from millrace.runtime.heartbeat import Heartbeat
from millrace.runtime.rate import Rate
from millrace.runtime.signals import on_termination
from millrace.stores.event_log import await_event_log

_log = logging.getLogger(__name__)
ROLE = "log-writer"


def run_log_writer(settings: Settings) -> None:
    """Write the log until SIGTERM or SIGINT.

    Raises:
        MillraceError: What stops the process, in one sentence.
    """
    health = LogWriterHealth()
    with BackgroundHealth(settings, health.look):
        _write(settings, health)


def _write(settings: Settings, health: LogWriterHealth) -> None:
    stopped = threading.Event()
    with on_termination(stopped.set):
        log = await_event_log(settings, stopped)
    if log is None:
        return
    writer = LogWriter(settings, log)
    health.follow(writer.status)
    rate = Rate()
    try:
        with on_termination(writer.stop), Heartbeat(settings, ROLE, lambda: status_of(writer.status, rate)):
            writer.run()
    finally:
        log.close()
    _log.info("Stopped; %d events are in the log.", writer.status.logged)


def status_of(status: LogWriterStatus, rate: Rate) -> dict[str, object]:
    """Return the heartbeat's content."""
    return {
        "events_logged": status.logged,
        "events_per_s": rate.per_s(status.logged),
        "items_logged": status.items,
        "lag": status.lag,
        "poison": dict(status.poison),
        "waiting": status.waiting,
    }
