"""How rows are cut into requests, and which write time wins."""

from hypothesis import given
from hypothesis import strategies as st

from millrace.stores.event_log.cassandra_rows import (
    BLOCK_EVENTS,
    DELETED_US,
    WriteTimes,
    block_of,
    bounds_of,
    chunks,
)

rows_of_keys = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 50))).map(
    lambda pairs: [(key, size, number) for number, (key, size) in enumerate(pairs)]
)


@given(rows_of_keys, st.integers(1, 5), st.integers(1, 120), st.none() | st.integers(1, 3))
def test_requests_hold_every_row_in_order_within_their_limits(
    rows: list[tuple[str, int, int]], most_rows: int, most_bytes: int, most_keys: int | None
) -> None:
    cut = list(chunks(rows, most_rows, most_bytes, most_keys))
    assert [row for chunk in cut for row in chunk] == [number for _, _, number in rows]
    for chunk in cut:
        assert 1 <= len(chunk) <= most_rows
        assert len(chunk) == 1 or sum(rows[number][1] for number in chunk) <= most_bytes
        assert len({rows[number][0] for number in chunk}) <= (most_keys or 1)


def test_late_events_lose_to_fresh_ones_and_all_to_a_deletion() -> None:
    times = WriteTimes()
    late, later = times.late_us(), times.late_us()
    fresh, fresher = times.fresh_us(), times.fresh_us()
    assert 0 < later < late < fresh < fresher < DELETED_US


def test_write_times_rise_though_the_clock_stands_still() -> None:
    times = WriteTimes()
    many = [times.rising_us() for _ in range(10_000)]
    assert many == sorted(set(many))


def test_blocks_cover_all_offsets() -> None:
    for offset in (0, 1, BLOCK_EVENTS - 1, BLOCK_EVENTS, 10**12):
        first, last = bounds_of(block_of(offset))
        assert first <= offset <= last
        assert last - first + 1 == BLOCK_EVENTS
