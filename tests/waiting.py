"""Waiting for a condition up to a deadline; tests never sleep for a fixed time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

DEADLINE_S = 60.0
_POLL_S = 0.02


def until(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait until the condition holds; fail with what was waited for."""
    end_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end_s, f"not within {deadline_s:g} s: {what}"
        time.sleep(_POLL_S)


async def until_async(
    condition: Callable[[], object | Awaitable[object]], what: str, deadline_s: float = DEADLINE_S
) -> None:
    """Do as `until` without holding up the event loop; the condition may be awaitable."""
    end_s = time.monotonic() + deadline_s
    while not await _value(condition()):
        assert time.monotonic() < end_s, f"not within {deadline_s:g} s: {what}"
        await asyncio.sleep(_POLL_S)


async def _value(found: object) -> object:
    return await found if inspect.isawaitable(found) else found
