"""Liveness of a Faust role: progress, not just a running event loop; a tiny HTTP endpoint and a heartbeat say so."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import orjson

from millrace.kernel.errors import ConfigurationError, TransientError

logger = logging.getLogger(__name__)

# Longer than any single wait inside a batch, shorter than what a person would call stuck.
STALLED_S = 15.0
_HEARTBEAT_S = 1.0
_HEARTBEAT_TTL_S = 5.0
_REQUEST_TIMEOUT_S = 5.0

Status = Mapping[str, object]


class HeartbeatStore(Protocol):
    """What this needs of `ServingStore`."""

    async def heartbeat(self, role: str, instance: str, status: Status, ttl_s: float) -> None:
        """Publish a process's status."""
        ...


class Progress:
    """Healthy when offsets advance or there is no lag.

    Args:
        lag: Returns how many records are waiting.
        now: Clock in seconds.
    """

    def __init__(self, lag: Callable[[], int], now: Callable[[], float] = time.monotonic) -> None:
        self._lag = lag
        self._now = now
        self._advanced_at = now()

    def advanced(self) -> None:
        """Take note that records have been handled."""
        self._advanced_at = self._now()

    def look(self) -> tuple[bool, int]:
        """Return whether the role is healthy, and its lag."""
        lag = self._lag()
        if lag == 0:
            self._advanced_at = self._now()
        return self._now() - self._advanced_at < STALLED_S, lag


def instance_name() -> str:
    """Return a name for this process."""
    return f"{socket.gethostname()}-{os.getpid()}"


class HealthServer:
    """Answers GET /health: 200 when healthy, 503 when not, and the status as JSON.

    GET /ready says the same, but 503 while the role waits for something (`waiting_for` in its status): whom it is to
    replace should stay until then.

    Args:
        status: Returns whether the role is healthy, and what to show.
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
    """

    def __init__(self, status: Callable[[], tuple[bool, Status]], host: str = "127.0.0.1", port: int = 0) -> None:
        self._status = status
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
            pass  # whoever asked has gone
        finally:
            writer.close()

    def _response(self, request: bytes) -> bytes:
        path = request.split(b" ", 2)[1:2]
        if path not in ([b"/health"], [b"/ready"]):
            return _http(b"404 Not Found", b"{}")
        healthy, status = self._status()
        good = healthy and not (path == [b"/ready"] and status.get("waiting_for"))
        body = orjson.dumps({"healthy": healthy, **status}, option=orjson.OPT_SERIALIZE_NUMPY)
        return _http(b"200 OK" if good else b"503 Service Unavailable", body)


def _http(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % (status, len(body)) + body


async def beat(store: HeartbeatStore, role: str, instance: str, status: Callable[[], Status]) -> None:
    """Publish the status every second; runs until cancelled."""
    while True:
        try:
            await store.heartbeat(role, instance, status(), _HEARTBEAT_TTL_S)
        except TransientError as error:
            logger.debug("No heartbeat: %s", error)
        except Exception:
            logger.exception("The heartbeat failed; trying again.")
        await asyncio.sleep(_HEARTBEAT_S)
