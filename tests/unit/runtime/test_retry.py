"""Calls are repeated while a service is away, and jobs at an interval outlive their failures."""

import asyncio

import pytest

from millrace.kernel.errors import FatalError, TransientError
from millrace.runtime.retry import Retry, keep_doing


class Service:
    """Fails as often as told, each time with the next error."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def call(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def test_a_transient_failure_is_repeated_and_shown_until_it_passes() -> None:
    shown: list[str | None] = []
    retry = Retry("worker", longest_s=0.0, on_change=shown.append)
    assert await retry.until_done(Service(TransientError("Redis is away."), TransientError("Redis is away.")).call) == (
        "done"
    )
    assert (shown, retry.waiting_for) == (["Redis is away.", "Redis is away.", None], None)


async def test_another_failure_passes_through() -> None:
    service = Service(FatalError("The topic was created anew."))
    with pytest.raises(FatalError, match="created anew"):
        await Retry("worker").until_done(service.call)
    assert service.calls == 1


def test_pauses_grow_and_begin_again_after_a_success(caplog: pytest.LogCaptureFixture) -> None:
    retry, away = Retry("worker", longest_s=0.3), TransientError("Redis is away.")
    assert [retry.failed(away) for _ in range(4)] == [0.1, 0.2, 0.3, 0.3]
    assert caplog.text.count("Redis is away.") == 1, "the same sentence is logged once"
    retry.succeeded()
    assert retry.failed(away) == 0.1


async def test_a_job_goes_on_whatever_its_call_raises(caplog: pytest.LogCaptureFixture) -> None:
    away = TransientError("Redis is away.")
    service = Service(away, away, ZeroDivisionError("by zero"), FatalError("unreadable"))
    job = asyncio.create_task(keep_doing(service.call, 0.0, "Refreshing the catalogue"))
    async with asyncio.timeout(10):
        while service.calls < 6:
            await asyncio.sleep(0)
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    assert caplog.text.count("Refreshing the catalogue failed: Redis is away.") == 1
    assert "Refreshing the catalogue failed unexpectedly" in caplog.text
    assert "Refreshing the catalogue failed: unreadable" in caplog.text
