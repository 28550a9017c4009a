"""Whether the event log reaches as far as a role: dead letters at the end of a partition are never logged."""

import time
from collections.abc import Mapping
from typing import Any, Protocol

from millrace.stores.event_log import EventLog

_LOG_WRITER = "log-writer"
# The log writer takes its lag, and tells it, every second: what it says after this long covers what was there before.
_TELLS_AFTER_MS = 3000


class Heartbeats(Protocol):
    """What this needs of `ServingStore`."""

    async def heartbeats(self) -> list[dict[str, object]]:
        """Return the status of every process heard from lately."""
        ...


class Coverage:
    """Knows how far the log reaches.

    Where it ends before a watermark, the log writers are asked: if all of them say some seconds later that nothing is
    left, what lies between are dead letters.

    Args:
        log: The event log.
        heartbeats: What the log writers say.
    """

    def __init__(self, log: EventLog, heartbeats: Heartbeats) -> None:
        self._log = log
        self._heartbeats = heartbeats
        self._seen: dict[int, tuple[int, int]] = {}
        self._complete: dict[int, int] = {}

    async def reaches(self, marks: Mapping[int, int]) -> bool:
        """Whether everything up to these offsets is logged or will never be; ask again, it may turn out so later.

        Raises:
            TransientError: Redis or the log does not answer.
        """
        short = self._short(marks)
        if not short:
            return True
        now_ms = time.time_ns() // 1_000_000
        for partition, mark in short.items():
            self._seen.setdefault(partition, (mark, now_ms))
        told_ms = await self._nothing_left_at_ms()
        for partition, (mark, seen_ms) in list(self._seen.items()):
            if told_ms >= seen_ms + _TELLS_AFTER_MS:
                self._complete[partition] = mark
                del self._seen[partition]
        return not self._short(marks)

    def _short(self, marks: Mapping[int, int]) -> dict[int, int]:
        ends = self._log.end()
        return {
            each: mark for each, mark in marks.items() if max(ends.get(each, -1), self._complete.get(each, -1)) < mark
        }

    async def _nothing_left_at_ms(self) -> int:
        """Return when all log writers said that nothing was left; 0 if not all of them do, or there is none."""
        beats: list[dict[str, Any]] = [
            each for each in await self._heartbeats.heartbeats() if each["role"] == _LOG_WRITER
        ]
        if not beats or any(beat.get("lag") != 0 or beat.get("waiting") for beat in beats):
            return 0
        return min(int(beat["at_ms"]) for beat in beats)
