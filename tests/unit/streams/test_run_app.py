"""A role ends as soon as one of its loops does, whichever it is."""

import asyncio
from typing import Any

import pytest

from millrace.streams.faust_app import run_app


class _Resume:
    def __init__(self) -> None:
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def raise_failure(self) -> None:
        """Nothing has failed."""


class _App:
    """What `run_app` uses of a Faust app."""

    crash_reason = None

    def __init__(self) -> None:
        self.resume = _Resume()
        self._crashed = asyncio.Event()
        self.stopped = False

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        self.stopped = True


@pytest.mark.parametrize("failing", [0, 1])
async def test_a_loop_that_fails_ends_the_role_with_its_error(failing: int) -> None:
    app: Any = _App()

    async def loop(number: int) -> None:
        if number == failing:
            raise ZeroDivisionError(f"in loop {number}")
        await asyncio.Event().wait()

    loops = [asyncio.create_task(loop(number)) for number in range(2)]

    async def finish() -> None:
        await asyncio.gather(*loops)

    with pytest.raises(ZeroDivisionError, match=f"in loop {failing}"):
        async with asyncio.timeout(5):
            await run_app(app, asyncio.Event(), finish, *loops)
    assert app.stopped
    for each in loops:
        each.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
