"""Opens the event log, however long it is unavailable."""

import logging
import threading

from millrace.kernel.backoff import Backoff
from millrace.kernel.errors import TransientError
from millrace.kernel.settings import Settings
from millrace.stores.event_log.opening import open_event_log
from millrace.stores.event_log.protocol import EventLog

_log = logging.getLogger(__name__)


def await_event_log(settings: Settings, stopped: threading.Event) -> EventLog | None:
    """Return the event log as soon as it answers; None when stopped before.

    Raises:
        ConfigurationError: As for `open_event_log`: waiting would not help.
    """
    backoff, said = Backoff(), ""
    while not stopped.is_set():
        try:
            return open_event_log(settings)
        except TransientError as error:
            if said != str(error):
                _log.warning("%s Trying again.", error)
            said = str(error)
            stopped.wait(backoff.next_s())
    return None
