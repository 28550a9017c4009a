"""Trying again while an outside service is away, and doing something at a fixed interval."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from millrace.kernel.backoff import Backoff
from millrace.kernel.errors import MillraceError, TransientError

logger = logging.getLogger(__name__)

# A role that handles a stream looks more often than one that works in the background.
STREAM_LONGEST_S = 2.0
# Also when a call takes longer than its interval, other tasks get this much time.
_LEAST_PAUSE_S = 0.02
_Result = TypeVar("_Result")


class Retry:
    """Back-off for the outside calls of one role, and what it waits for at present.

    Args:
        role: Named in the log.
        longest_s: Longest pause between two attempts, in seconds.
        on_change: Called with what is waited for, or None, after each attempt.

    Attributes:
        waiting_for: Text of the last failure; None once an attempt has succeeded.
    """

    def __init__(
        self,
        role: str,
        longest_s: float = STREAM_LONGEST_S,
        on_change: Callable[[str | None], None] = lambda waiting_for: None,
    ) -> None:
        self._on_change = on_change
        self._role = role
        self._longest_s = longest_s
        self._backoff = Backoff(longest_s)
        self.waiting_for: str | None = None

    async def until_done(self, call: Callable[[], Awaitable[_Result]]) -> _Result:
        """Call until it raises no `TransientError`; every other error passes through.

        Args:
            call: Must be safe to repeat.
        """
        while True:
            try:
                result = await call()
            except TransientError as error:
                await asyncio.sleep(self.failed(error))
            else:
                self.succeeded()
                return result

    def failed(self, error: TransientError) -> float:
        """Record a failed attempt; returns how long to wait before the next one, in seconds."""
        if self.waiting_for != str(error):
            logger.warning("The %s waits: %s", self._role, error)
        self.waiting_for = str(error)
        self._on_change(self.waiting_for)
        return self._backoff.next_s()

    def succeeded(self) -> None:
        """Record an attempt that succeeded: the next failure starts with the shortest pause."""
        self.waiting_for = None
        self._backoff = Backoff(self._longest_s)
        self._on_change(None)


async def keep_doing(call: Callable[[], Awaitable[object]], every_s: float, doing: str) -> None:
    """Call at an interval until cancelled; a failure is logged and the next call tries again.

    Args:
        call: What to do.
        every_s: Seconds between the starts of two calls.
        doing: The activity, for the log: `Refreshing the catalogue`.
    """
    said = ""
    while True:
        started = time.monotonic()
        try:
            await call()
            said = ""
        except MillraceError as error:
            if said != str(error):
                logger.warning("%s failed: %s", doing, error)
            said = str(error)
        except Exception:
            logger.exception("%s failed unexpectedly; trying again.", doing)
        await asyncio.sleep(max(every_s - (time.monotonic() - started), _LEAST_PAUSE_S))
