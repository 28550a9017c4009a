"""Recomputes users and statistics from the event log, with checkpoints."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from millrace.kernel.settings import Settings
from millrace.stores.event_log import IMPORT_PARTITION, EventLog, LoggedEvent
from millrace.streams.rebuild.checkpoint import Checkpoint
from millrace.streams.replay import ItemIndexes, LogReplay, Progress, advance, begin


async def recompute(
    log: EventLog,
    indexes: ItemIndexes,
    settings: Settings,
    until: Mapping[int, int],
    checkpoint: Checkpoint,
    on_progress: Progress,
) -> tuple[LogReplay, int]:
    """Apply the log up to given offsets, starting from the checkpoint if it fits.

    Returns:
        The replay, and how many of its events came from the checkpoint.

    Raises:
        TransientError: Redis or the log does not answer.
    """
    ends = {**until, IMPORT_PARTITION: log.end().get(IMPORT_PARTITION, -1)}
    replay = await _resumed(indexes, checkpoint, ends)
    if replay is None:
        checkpoint.start_over()
        replay = LogReplay(settings.event_policy, settings.neighbours_per_item)
        await begin(log, replay, indexes)
    resumed, total = replay.events, log.count()
    seen = total - log.count(replay.position)

    def after(page: Sequence[LoggedEvent]) -> None:
        nonlocal seen
        checkpoint.touch(logged.event.user_id for logged in page)
        checkpoint.save_if_due(replay, indexes.known)
        seen += len(page)
        on_progress(seen, max(total, seen))

    with _without_collections():
        await advance(log, replay, indexes, ends, after)
    return replay, resumed


async def _resumed(indexes: ItemIndexes, checkpoint: Checkpoint, ends: dict[int, int]) -> LogReplay | None:
    """Return the saved replay if its items still have the same indexes."""
    found = checkpoint.load(ends)
    if found is None:
        return None
    replay, saved = found
    await indexes.ask(saved)
    return replay if all(indexes.get(item_id) == index for item_id, index in saved.items()) else None


@contextmanager
def _without_collections() -> Iterator[None]:
    """Turn the garbage collector off: it would scan millions of live objects again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
