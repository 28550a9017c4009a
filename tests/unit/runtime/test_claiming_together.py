"""A role that keeps one state of all partitions claims them together, after closing them."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from millrace.runtime.claims import Claim, PartitionGate
from millrace.runtime.resume import Resume

GENERATION = 1


class Reader:
    """A consumer of a topic with ten records in each partition."""

    def __init__(self) -> None:
        self.sought: list[dict[int, int]] = []

    async def seek_partitions(self, positions: Mapping[int, int]) -> None:
        self.sought.append(dict(positions))

    async def bounds(self, partitions: list[int]) -> dict[int, tuple[int, int]]:
        return dict.fromkeys(partitions, (0, 10))

    def end(self, partition: int) -> int | None:
        return 10

    def partition_count(self) -> int | None:
        return 3


class Claimer:
    """Hands out claims up to offset 4; remembers what was claimed and what the gate let through meanwhile."""

    def __init__(self, gate: PartitionGate) -> None:
        self.claimed: list[list[int]] = []
        self.open_meanwhile: list[list[int]] = []
        self._gate = gate

    async def claim(self, partitions: Sequence[int]) -> Mapping[int, Claim]:
        self.claimed.append(sorted(partitions))
        self.open_meanwhile.append(list(self._gate.partitions))
        return {partition: Claim(f"owner-{len(self.claimed)}", 4, 4) for partition in partitions}


class FirstTwo:
    """A topic of which the last partition waits."""

    async def usable(self, count: int) -> int:
        return 2


def after_losing_one(whole_topic: bool, grown: bool = False) -> tuple[Claimer, Reader, PartitionGate]:
    """Claim three partitions, lose the first, and wait until it is claimed again."""

    async def run() -> tuple[Claimer, Reader, PartitionGate]:
        gate, reader = PartitionGate(), Reader()
        claimer = Claimer(gate)
        check = FirstTwo() if grown else None
        resume = Resume("statistics", "events", claimer, gate, whole_topic=whole_topic, topic_check=check)
        resume.bind(reader)
        await resume.on_assigned([0, 1, 2], GENERATION)
        gate.close(0)
        await resume._open_missing(GENERATION)
        await resume._open_missing(GENERATION)
        return claimer, reader, gate

    return asyncio.run(run())


def test_all_are_claimed_again_when_one_is_lost() -> None:
    claimer, reader, gate = after_losing_one(whole_topic=True)
    assert claimer.claimed == [[0, 1, 2], [0, 1, 2]]
    assert reader.sought[-1] == {0: 5, 1: 5, 2: 5}
    assert {claim.owner for partition in range(3) if (claim := gate.claim_of(partition))} == {"owner-2"}


def test_nothing_is_let_through_while_the_state_is_loaded_anew() -> None:
    claimer, _, _ = after_losing_one(whole_topic=True)
    assert claimer.open_meanwhile == [[], []]


def test_a_partition_that_waits_does_not_make_the_others_start_over() -> None:
    claimer, _, gate = after_losing_one(whole_topic=True, grown=True)
    assert claimer.claimed == [[0, 1], [0, 1]]
    assert sorted(gate.partitions) == [0, 1]


@pytest.mark.parametrize("partition", [1, 2])
def test_a_role_with_a_state_by_partition_keeps_the_others(partition: int) -> None:
    claimer, _, gate = after_losing_one(whole_topic=False)
    assert claimer.claimed == [[0, 1, 2], [0]]
    claim = gate.claim_of(partition)
    assert claim is not None
    assert claim.owner == "owner-1"
