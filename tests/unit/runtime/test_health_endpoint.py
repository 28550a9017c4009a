"""Liveness means progress, and anyone can ask."""

import asyncio
import json

from millrace.runtime.health import STALLED_S, HealthServer, Progress


async def ask(port: int, path: str) -> tuple[int, dict[str, object]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def test_the_endpoint_tells_health_and_what_is_waited_for() -> None:
    healthy = True
    server = HealthServer(lambda: (healthy, {"waiting_for": "Redis"}))
    port = await server.start()
    try:
        assert await ask(port, "/health") == (200, {"healthy": True, "waiting_for": "Redis"})
        assert (await ask(port, "/ready"))[0] == 503
        healthy = False
        assert (await ask(port, "/health"))[0] == 503
        assert (await ask(port, "/"))[0] == 404
    finally:
        await server.stop()


async def test_who_waits_for_nothing_is_ready() -> None:
    server = HealthServer(lambda: (True, {"waiting_for": None}))
    port = await server.start()
    try:
        assert await ask(port, "/ready") == (200, {"healthy": True, "waiting_for": None})
    finally:
        await server.stop()


def test_a_lag_without_progress_is_unhealthy_and_no_lag_is_healthy() -> None:
    now, lag = 0.0, 5
    progress = Progress(lambda: lag, now=lambda: now)
    now = STALLED_S + 1
    assert progress.look() == (False, 5)
    progress.advanced()
    assert progress.look() == (True, 5)
    now, lag = 10 * STALLED_S, 0
    assert progress.look() == (True, 0)
