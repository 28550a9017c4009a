"""GET /health for a process without an event loop of its own, and what health means for the log writer."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from types import TracebackType

from millrace.consumers.log_writer.writer import LogWriterStatus
from millrace.kernel.settings import Settings
from millrace.streams.faust_health import HealthServer, Progress

_START_TIMEOUT_S = 10.0


class BackgroundHealth:
    """Answers GET /health from a thread of its own, for the length of a `with` block.

    Args:
        settings: Where to listen.
        look: Returns whether the process is healthy, and what to show; called in the thread.
    """

    def __init__(self, settings: Settings, look: Callable[[], tuple[bool, Mapping[str, object]]]) -> None:
        self._server = HealthServer(look, settings.health_host, settings.health_port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="health", daemon=True)
        self.port = 0
        """Where it listens; known inside the block."""

    def __enter__(self) -> "BackgroundHealth":
        """Start listening.

        Raises:
            ConfigurationError: The address cannot be used.
        """
        self._thread.start()
        try:
            self.port = asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(_START_TIMEOUT_S)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Stop listening."""
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(_START_TIMEOUT_S)
        self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


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
