"""Commits of offsets are taken note of, so that Faust does not report them missing; one that fails ends nothing."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka.errors import CommitFailedError
from faust.types import TP

from millrace.streams.faust_transport import ConsumerThread

HELD, LOST = TP("events", 0), TP("events", 1)


class Consumer:
    """Takes offsets, or refuses them."""

    def __init__(self, refuses: bool) -> None:
        self.committed: dict[tuple[str, int], int] = {}
        self._refuses = refuses

    async def commit(self, offsets: Mapping[Any, Any]) -> None:
        if self._refuses:
            raise CommitFailedError("the group has moved on")
        self.committed.update({(tp.topic, tp.partition): offset.offset for tp, offset in offsets.items()})


@pytest.mark.parametrize("refuses", [False, True])
def test_a_commit_is_taken_note_of_if_it_succeeds(refuses: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    consumer, thread = Consumer(refuses), ConsumerThread.__new__(ConsumerThread)
    thread.tp_last_committed_at = {}
    monkeypatch.setattr(thread, "assignment", lambda: {HELD})
    monkeypatch.setattr(thread, "_ensure_consumer", lambda: consumer)
    assert asyncio.run(thread._commit({HELD: 7, LOST: 3})) is not refuses
    assert consumer.committed == ({} if refuses else {("events", 0): 7})
    assert list(thread.tp_last_committed_at) == ([] if refuses else [HELD])
