"""Waits until everything logged is handled and nothing changes."""

import asyncio
import time

from millrace.stores.event_log import IMPORT_PARTITION, EventLog
from millrace.stores.redis.redis_statistics import KEEPER_ROLE
from millrace.stores.redis.redis_users import WORKER_ROLE
from millrace.streams.verify.side import WatermarkReader, marks_of

# Twice the keeper's flush and some batches of the log writer.
_STILL_S = 1.0
_POLL_S = 0.1


async def wait_until_quiet(log: EventLog, store: WatermarkReader, topic: str, wait_s: float) -> bool:
    """Wait until workers and keeper have handled all that is logged and nothing has moved for a second.

    Args:
        log: The event log.
        store: Where the watermarks are.
        topic: Full name of the events topic.
        wait_s: The longest wait.

    Returns:
        Whether that came true in time.
    """
    deadline = time.monotonic() + wait_s
    before, since = None, time.monotonic()
    while time.monotonic() < deadline:
        ends = {each: end for each, end in log.end().items() if each != IMPORT_PARTITION}
        worker, keeper = [await marks_of(store, role, topic) for role in (WORKER_ROLE, KEEPER_ROLE)]
        now = (ends, worker, keeper)
        if now != before:
            before, since = now, time.monotonic()
        handled = all(min(worker.get(each, -1), keeper.get(each, -1)) >= end for each, end in ends.items())
        if handled and time.monotonic() - since >= _STILL_S:
            return True
        await asyncio.sleep(_POLL_S)
    return False
