"""A thread with an event loop ends with everything that runs in it, and signals end work in time."""

import asyncio
import threading

import pytest

from millrace.runtime.loop_thread import LoopThread
from millrace.runtime.signals import unless_stopped


def test_stopping_cancels_what_runs_and_ends_the_thread() -> None:
    thread, begun, ended = LoopThread("under-test"), threading.Event(), threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    thread.start()
    thread.submit(work())
    assert begun.wait(10)
    thread.stop()
    assert ended.is_set()
    assert "under-test" not in {each.name for each in threading.enumerate()}


async def test_work_is_cancelled_when_asked_to_stop() -> None:
    stop, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        stop.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with asyncio.timeout(10):
        await unless_stopped(stop, work())
    assert cancelled.is_set()


async def test_an_error_of_the_work_passes_through() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await unless_stopped(asyncio.Event(), work())
