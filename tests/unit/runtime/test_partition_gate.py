"""Which records are taken after assignments, seeks and lost claims."""

from millrace.runtime.claims import Claim, PartitionGate


def opened(position: int = 5, generation: int = 1) -> PartitionGate:
    gate = PartitionGate()
    gate.open(0, Claim("a", state=position - 1, done=position - 1), generation, position)
    return gate


def test_records_pass_once_and_in_order() -> None:
    gate = opened()
    assert [gate.accept(0, offset, 1) for offset in (5, 6, 6, 5, 8, 7)] == [True, True, False, False, True, False]


def test_nothing_passes_before_the_expected_record_has_come() -> None:
    gate = opened()
    # 9 is on its way from before the seek.
    assert [gate.accept(0, offset, 1) for offset in (9, 10, 5, 6)] == [False, False, True, True]
    assert gate.beyond(0) == 9


def test_records_of_another_assignment_or_partition_are_dropped() -> None:
    gate = opened(generation=4)
    assert not gate.accept(0, 5, 3)
    assert not gate.accept(1, 5, 4)
    assert gate.accept(0, 5, 4)


def test_only_the_holder_advances_and_closes() -> None:
    gate = opened()
    gate.advance(0, "b", state=9, done=9)
    assert gate.claim_of(0) == Claim("a", 4, 4)
    gate.advance(0, "a", state=9, done=7)
    gate.advance(0, "a", state=8, done=-1)
    assert gate.claim_of(0) == Claim("a", 9, 7)
    gate.close(0, "b")
    assert gate.partitions == [0]
    gate.close(0, "a")
    assert gate.partitions == []
    assert not gate.accept(0, 5, 1)


def test_an_assignment_closes_what_is_not_in_it() -> None:
    gate = opened()
    gate.open(3, Claim("c"), 1, 0)
    gate.keep_only([3])
    assert gate.partitions == [3]
    assert gate.is_open(3, 1)
    assert not gate.is_open(3, 2)
