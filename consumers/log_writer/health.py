"""What health means for the log writer."""

from collections.abc import Mapping

from millrace.consumers.log_writer.writer import LogWriterStatus
from millrace.runtime.health import Progress


class LogWriterHealth:
    """Healthy while records get into the log or none are waiting, as for the Faust roles."""

    def __init__(self) -> None:
        self._status = LogWriterStatus(waiting="starting")
        self._written = 0
        self._progress = Progress(lambda: self._status.lag)

    def follow(self, status: LogWriterStatus) -> None:
        """Look at a writer's status from now on."""
        self._status = status

    def look(self) -> tuple[bool, Mapping[str, object]]:
        """Return whether the writer is healthy, and what it is doing."""
        status = self._status
        if (written := status.logged + status.items) != self._written:
            self._written = written
            self._progress.advanced()
        healthy, lag = self._progress.look()
        return healthy, {"lag": lag, "events_logged": status.logged, "waiting_for": status.waiting or None}
