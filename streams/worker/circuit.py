"""Circuit breaker: a slow or absent model delays one batch, not every one."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from millrace.kernel.errors import TransientError

logger = logging.getLogger(__name__)

# While the circuit is open, the server is asked at most this often, beside the stream.
PROBE_INTERVAL_S = 0.3


class Circuit:
    """Closed while the server answers; one failure opens it, one answered probe closes it again.

    A probe runs in the background: no batch waits for it.

    Args:
        now: Clock in seconds.
        probe_interval_s: Least time between two probes.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, probe_interval_s: float = PROBE_INTERVAL_S) -> None:
        self._now = now
        self._probe_interval_s = probe_interval_s
        self._probe: asyncio.Task[None] | None = None
        self._last_attempt_s = -float("inf")
        self.open_because: str | None = None

    def failed(self, code: str, error: Exception) -> None:
        """Open the circuit; `code` says why on the fallback lists."""
        if self.open_because is None:
            logger.warning("Scoring failed (%s: %s); lists come from the online counts until it is back.", code, error)
        self.open_because = code
        self._last_attempt_s = self._now()

    def probe(self, attempt: Callable[[], Awaitable[Any]]) -> None:
        """Try the server in the background, if it is time to."""
        due = self._now() - self._last_attempt_s >= self._probe_interval_s
        if self.open_because is None or not due or (self._probe is not None and not self._probe.done()):
            return
        self._last_attempt_s = self._now()
        self._probe = asyncio.create_task(self._try(attempt))

    async def close(self) -> None:
        """End a probe that is under way."""
        self.give_up()
        if self._probe is not None:
            await asyncio.gather(self._probe, return_exceptions=True)

    def give_up(self) -> None:
        """Stop probing."""
        if self._probe is not None:
            self._probe.cancel()

    async def _try(self, attempt: Callable[[], Awaitable[Any]]) -> None:
        try:
            await attempt()
        except TransientError:
            self._last_attempt_s = self._now()
            return
        except Exception:
            logger.exception("Probing the model server failed unexpectedly.")
            return
        logger.warning("Scoring is back.")
        self.open_because = None
