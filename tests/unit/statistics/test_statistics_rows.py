import numpy as np
import plain_statistics as plain
import pytest
from random_streams import random_stream

from millrace.streams.statistics import ItemStatistics
from millrace.streams.statistics.row_kernels import COVISITED, SHORT, TIMED, WIDE, fading


def learn(seed: int, events: int, neighbours: int = 64) -> tuple[ItemStatistics, list[plain.Step]]:
    statistics = ItemStatistics(neighbours)
    steps: list[plain.Step] = []
    for learned in random_stream(seed, events):
        event = learned.event
        steps.append((learned.before.items.tolist(), event.item))
        statistics.update(learned.before, event.item, event.value, event.ts_ms)
    return statistics, steps


def column(statistics: ItemStatistics, number: int) -> dict[tuple[int, int], float]:
    rows = statistics.rows
    out = {}
    for row in range(len(rows)):
        worth = fading(rows.landmarks[row], statistics.clock) if number == TIMED else 1.0
        for slot in range(rows.lengths[row]):
            value = float(rows.values[row, slot, number]) * worth
            if value > 0.0:
                out[row, int(rows.ids[row, slot])] = value
    return out


@pytest.mark.parametrize("seed", range(5))
def test_rows_equal_a_plain_recomputation(seed):
    statistics, steps = learn(seed, 400)
    expected = {
        SHORT: plain.transitions(steps, 5, 0.8),
        WIDE: plain.transitions(steps, 30, 0.93),
        TIMED: plain.timed(steps, statistics.clock),
        COVISITED: plain.covisited(steps),
    }
    for number, pairs in expected.items():
        assert column(statistics, number) == pytest.approx(dict(pairs), rel=2e-4)


def test_row_sums_are_the_totals_of_all_increments():
    statistics, steps = learn(7, 300)
    totals: dict[int, float] = {}
    for (row, _), value in plain.transitions(steps, 30, 0.93).items():
        totals[row] = totals.get(row, 0.0) + value
    for row, total in totals.items():
        assert statistics.rows.sums[row, WIDE] == pytest.approx(total)


def test_timed_evidence_survives_many_landmarks():
    statistics = ItemStatistics(8)
    before = random_stream(0, 2)[1].before
    history = before.items if len(before.items) else np.array([5], np.int32)
    steps = []
    for clock in (0, 10, 5_000, 5_001, 2_000_000, 2_000_050):
        statistics.rows.learn(history, 9, clock)
        steps.append(clock)
    now = 2_000_060
    row = int(history[0])
    expected = sum(((clock + 1000.0) / (now + 1000.0)) ** (1 / 0.15) for clock in steps)
    rows = statistics.rows
    assert float(rows.values[row, 0, TIMED]) * fading(rows.landmarks[row], now) == pytest.approx(expected, rel=1e-4)


def test_a_full_row_evicts_the_oldest_company_and_keeps_its_sum():
    statistics = ItemStatistics(8)
    for number in range(9):
        statistics.rows.learn(np.array([1], np.int32), 10 + number, number * 1000)
    rows = statistics.rows
    kept = set(rows.ids[1, : rows.lengths[1]].tolist())
    assert kept == set(range(11, 19))
    assert rows.sums[1, SHORT] == pytest.approx(9.0)


def test_a_repeat_of_the_item_itself_is_not_a_transition():
    statistics = ItemStatistics(8)
    statistics.rows.learn(np.array([3], np.int32), 3, 0)
    assert statistics.rows.lengths[3] == 0
    assert statistics.rows.take_dirty() == []


def test_an_event_of_weight_half_adds_half_but_counts_as_one():
    whole, half = ItemStatistics(16), ItemStatistics(16)
    for learned in random_stream(5, 60):
        event = learned.event
        whole.update(learned.before, event.item, event.value, event.ts_ms)
        half.update(learned.before, event.item, event.value, event.ts_ms, weight=0.5)
    for number in (SHORT, WIDE, TIMED, COVISITED):
        doubled = {pair: 2.0 * value for pair, value in column(half, number).items()}
        assert doubled == pytest.approx(column(whole, number), rel=1e-4)
    assert np.array_equal(half.popularity.counts, whole.popularity.counts)
    assert np.array_equal(half.popularity.value_sums, whole.popularity.value_sums)
    assert half.popularity.decayed * 2.0 == pytest.approx(whole.popularity.decayed, rel=1e-4)
    assert half.decayed_totals * 2.0 == pytest.approx(whole.decayed_totals)
    assert half.bucket_totals * 2.0 == pytest.approx(whole.bucket_totals)


def test_a_dislike_leads_nobody_to_its_item_but_lowers_its_mean():
    statistics = ItemStatistics(16)
    before = random_stream(5, 20)[-1].before
    statistics.update(before, 3, 1.0, 0, weight=0.0)
    assert statistics.take_dirty() == ([], [0])
    assert statistics.popularity.decayed[3].tolist() == [0.0, 0.0, 0.0]
    assert (statistics.popularity.counts[3], statistics.popularity.value_sums[3]) == (1, 1.0)
