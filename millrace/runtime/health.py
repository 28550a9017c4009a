"""Liveness of a role: progress, not just a running process; an HTTP endpoint tells supervisors."""

import asyncio
import time
from collections.abc import Callable, Mapping
from types import TracebackType

import orjson

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import Settings
from millrace.runtime.loop_thread import LoopThread

# Longer than any single wait inside a batch, shorter than what a person would call stuck.
STALLED_S = 15.0
_REQUEST_TIMEOUT_S = 5.0
_START_TIMEOUT_S = 10.0

Look = Callable[[], tuple[bool, Mapping[str, object]]]


class Progress:
    """Healthy while records are handled or none wait.

    Args:
        lag: Returns how many records are waiting.
        now: Clock in seconds.
        stalled_s: Seconds without progress after which a role with a lag is unhealthy; None: `STALLED_S`.
    """

    def __init__(
        self, lag: Callable[[], int], now: Callable[[], float] = time.monotonic, stalled_s: float | None = None
    ) -> None:
        self._lag = lag
        self._now = now
        self._stalled_s = stalled_s
        self._advanced_at = now()

    def advanced(self) -> None:
        """Record that work has been done."""
        self._advanced_at = self._now()

    def look(self) -> tuple[bool, int]:
        """Return whether the role is healthy, and its lag."""
        lag = self._lag()
        if lag == 0:
            self._advanced_at = self._now()
        stalled_s = STALLED_S if self._stalled_s is None else self._stalled_s
        return self._now() - self._advanced_at < stalled_s, lag


class HealthServer:
    """Answers GET /health and GET /ready with the status as JSON.

    /health: 200 while the role is healthy, else 503. /ready: as /health, but 503 as well while the role waits for
    something (`waiting_for` in its status), so that the process it replaces can stay until then.

    Args:
        look: Returns whether the role is healthy, and its status.
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
    """

    def __init__(self, look: Look, host: str = "127.0.0.1", port: int = 0) -> None:
        self._look = look
        self._host = host
        self._asked_port = port
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; returns the port.

        Raises:
            ConfigurationError: The address cannot be used.
        """
        try:
            self._server = await asyncio.start_server(self._answer, self._host, self._asked_port)
        except OSError as error:
            raise ConfigurationError(
                f"The health page cannot listen on {self._host}:{self._asked_port} ({error.strerror}); set "
                "MILLRACE_HEALTH_HOST and MILLRACE_HEALTH_PORT to an address that is free, or the port to 0."
            ) from None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_TIMEOUT_S):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._response(request))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client has gone
        finally:
            writer.close()

    def _response(self, request: bytes) -> bytes:
        path = request.split(b" ", 2)[1:2]
        if path not in ([b"/health"], [b"/ready"]):
            return _http(b"404 Not Found", b"{}")
        healthy, status = self._look()
        good = healthy and not (path == [b"/ready"] and status.get("waiting_for"))
        body = orjson.dumps({"healthy": healthy, **status}, option=orjson.OPT_SERIALIZE_NUMPY)
        return _http(b"200 OK" if good else b"503 Service Unavailable", body)


def _http(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % (status, len(body)) + body


class BackgroundHealth:
    """A `HealthServer` in a thread of its own, inside a `with` block; for a process without an event loop.

    Args:
        settings: Where to listen.
        look: Returns whether the process is healthy, and its status; called in the thread.
    """

    def __init__(self, settings: Settings, look: Look) -> None:
        self._server = HealthServer(look, settings.health_host, settings.health_port)
        self._thread = LoopThread("health")
        self.port = 0
        """Where it listens; known inside the block."""

    def __enter__(self) -> "BackgroundHealth":
        """Start listening.

        Raises:
            ConfigurationError: The address cannot be used.
        """
        self._thread.start()
        try:
            self.port = self._thread.submit(self._server.start()).result(_START_TIMEOUT_S)
        except BaseException:
            self._thread.stop()
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Stop listening."""
        self._thread.submit(self._server.stop()).result(_START_TIMEOUT_S)
        self._thread.stop()
