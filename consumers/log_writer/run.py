"""The process `millrace log-writer`."""

import logging

from consumers.event_log import open_event_log
from consumers.heartbeat import Heartbeat
from consumers.log_writer.writer import LogWriter, LogWriterStatus
from consumers.rate import Rate
from consumers.signals import on_termination
from millrace.config import Settings

_log = logging.getLogger(__name__)
ROLE = "log-writer"


def run_log_writer(settings: Settings) -> None:
    """Write the log until SIGTERM or SIGINT.

    Raises:
        MillraceError: What stops the process, in one sentence.
    """
    log = open_event_log(settings)
    writer = LogWriter(settings, log)
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
        "events_per_s": round(rate.per_s(status.logged), 1),
        "items_logged": status.items,
        "lag": status.lag,
        "poison": dict(status.poison),
        "waiting": status.waiting,
    }
