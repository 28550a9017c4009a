"""Offsets without a record, as transactional producers leave them, do not hold a partition up."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from millrace.runtime.claims import Claim, PartitionGate
from millrace.runtime.resume import Resume

GENERATION = 1


class Consumer:
    """Delivers the records that a partition holds; a seek takes effect, or comes too late for what is on its way.

    Args:
        held: Offsets that hold a record.
        lost_seeks: So many seeks do nothing.
    """

    def __init__(self, gate: PartitionGate, held: Sequence[int], lost_seeks: int = 0) -> None:
        self.accepted: list[int] = []
        self._gate, self._held, self._lost_seeks = gate, held, lost_seeks
        self._position = held[0]

    async def seek_partitions(self, positions: Mapping[int, int]) -> None:
        if self._lost_seeks > 0:
            self._lost_seeks -= 1
        else:
            self._position = positions[0]

    def begin_at(self, offset: int) -> None:
        """Fetch from an offset on, as from a committed one."""
        self._position = offset

    def poll(self, most: int, generation: int) -> None:
        """Deliver the next records."""
        for offset in [offset for offset in self._held if offset >= self._position][:most]:
            self._position = offset + 1
            if self._gate.accept(0, offset, generation):
                self.accepted.append(offset)

    async def bounds(self, partitions: list[int]) -> dict[int, tuple[int, int]]:
        return dict.fromkeys(partitions, (0, self._held[-1] + 1))

    def end(self, partition: int) -> int | None:
        return self._held[-1] + 1

    def partition_count(self) -> int | None:
        return 1


class Claimer:
    """Everything up to offset 4 is done."""

    async def claim(self, partitions: Sequence[int]) -> Mapping[int, Claim]:
        return {partition: Claim("owner", 4, 4) for partition in partitions}


async def next_round(consumer: Consumer, resume: Resume, generation: int = GENERATION) -> None:
    consumer.poll(most=2, generation=generation)
    resume._close_unsynchronised()
    await resume._open_missing(generation)


def accepted(held: Sequence[int], lost_seeks: int = 0, rounds: int = 5) -> list[int]:
    async def run() -> list[int]:
        gate = PartitionGate()
        consumer = Consumer(gate, held, lost_seeks)
        resume = Resume("worker", "events", Claimer(), gate, patience_s=0.0)
        resume.bind(consumer)
        await resume.on_assigned([0], GENERATION)
        for _ in range(rounds):
            await next_round(consumer, resume)
        return consumer.accepted

    return asyncio.run(run())


@pytest.mark.parametrize("held", [[3, 4, 6, 7, 8], [4, 9, 10, 12, 13]])
def test_a_partition_goes_on_behind_an_offset_without_a_record(held: list[int]) -> None:
    assert accepted(held) == [offset for offset in held if offset > 4]


def test_a_seek_that_came_too_late_is_repeated_and_nothing_is_left_out() -> None:
    held = list(range(3, 30))
    assert accepted(held, lost_seeks=3, rounds=12)[:10] == list(range(5, 15))


def test_assignments_that_begin_at_the_same_later_record_say_nothing_of_what_lies_before_it() -> None:
    async def run() -> list[int]:
        gate = PartitionGate()
        consumer = Consumer(gate, range(3, 30), lost_seeks=4)
        resume = Resume("worker", "events", Claimer(), gate, patience_s=0.0)
        resume.bind(consumer)
        for generation in (1, 2):
            await resume.on_assigned([0], generation)
            consumer.begin_at(9)
            await next_round(consumer, resume, generation)
        for _ in range(4):
            await next_round(consumer, resume, generation=2)
        return consumer.accepted

    assert asyncio.run(run())[:3] == [5, 6, 7]
