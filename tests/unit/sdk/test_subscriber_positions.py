"""A group never resumes behind a list that was not handled."""

from millrace.consumers.subscriber_positions import Positions


def reading(*offsets: int, partition: int = 0) -> Positions:
    positions = Positions()
    for offset in offsets:
        positions.read(partition, offset, is_open=True)
    return positions


def test_it_resumes_at_the_first_open_list_in_whatever_order_they_were_handled() -> None:
    positions = reading(10, 11, 12)
    positions.close(0, 10)
    positions.close(0, 12)
    assert positions.take_changed() == {0: 11}
    positions.close(0, 11)
    assert positions.take_changed() == {0: 13}


def test_records_that_are_left_out_need_no_handling_but_pass_no_open_list() -> None:
    positions = Positions()
    positions.read(0, 4, is_open=False)
    assert positions.take_changed() == {0: 5}
    positions.read(0, 5, is_open=True)
    positions.read(0, 6, is_open=False)
    assert positions.take_changed() == {}
    positions.close(0, 5)
    assert positions.take_changed() == {0: 7}


def test_partitions_are_independent() -> None:
    positions = reading(3)
    positions.read(1, 8, is_open=True)
    positions.close(1, 8)
    assert positions.take_changed() == {0: 3, 1: 9}


def test_records_that_arrive_again_after_a_rebalance_stay_open() -> None:
    positions = reading(7, 8)
    positions.close(0, 7)
    positions.read(0, 6, is_open=True)
    positions.read(0, 8, is_open=False)  # a repeat of a list that is still open
    positions.close(0, 6)
    assert positions.take_changed() == {0: 8}


def test_what_has_not_changed_is_not_taken_again() -> None:
    positions = reading(1)
    positions.close(0, 1)
    assert positions.take_changed() == {0: 2}
    assert positions.take_changed() == {}
