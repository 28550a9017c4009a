"""Whether the event log has caught up with a role; dead letters at the end of a partition are never logged."""

import time
from collections.abc import Mapping
from typing import Any, Protocol

from millrace.stores.event_log import EventLog

_LOG_WRITER = "log-writer"
# The log writer measures and reports its lag every second: a report this much later covers what was there before.
_REPORT_DELAY_MS = 3000


class Heartbeats(Protocol):
    """The part of a store that tells which processes are alive."""

    async def heartbeats(self) -> list[dict[str, object]]:
        """Return the status of every process heard from lately."""
        ...


class Coverage:
    """Tells whether everything up to given offsets is logged or never will be.

    If the log ends before an offset, the log writers decide: if all of them report no lag some seconds later, the
    records in between are dead letters.

    Args:
        log: The event log.
        heartbeats: Source of the log writers' reports.
    """

    def __init__(self, log: EventLog, heartbeats: Heartbeats) -> None:
        self._log = log
        self._heartbeats = heartbeats
        self._seen: dict[int, tuple[int, int]] = {}
        self._complete: dict[int, int] = {}

    async def reaches(self, marks: Mapping[int, int]) -> bool:
        """Return whether everything up to these offsets is logged or never will be; the answer may turn true later.

        Raises:
            TransientError: Redis or the log does not answer.
        """
        short = self._short(marks)
        if not short:
            return True
        now_ms = time.time_ns() // 1_000_000
        for partition, mark in short.items():
            self._seen.setdefault(partition, (mark, now_ms))
        reported_ms = await self._nothing_left_at_ms()
        for partition, (mark, seen_ms) in list(self._seen.items()):
            if reported_ms >= seen_ms + _REPORT_DELAY_MS:
                self._complete[partition] = mark
                del self._seen[partition]
        return not self._short(marks)

    def _short(self, marks: Mapping[int, int]) -> dict[int, int]:
        ends = self._log.end()
        return {
            each: mark for each, mark in marks.items() if max(ends.get(each, -1), self._complete.get(each, -1)) < mark
        }

    async def _nothing_left_at_ms(self) -> int:
        """Return the time of the earliest report if all log writers report no lag; else 0, also without a writer."""
        beats: list[dict[str, Any]] = [
            each for each in await self._heartbeats.heartbeats() if each["role"] == _LOG_WRITER
        ]
        if not beats or any(beat.get("lag") != 0 or beat.get("waiting") for beat in beats):
            return 0
        return min(int(beat["at_ms"]) for beat in beats)
