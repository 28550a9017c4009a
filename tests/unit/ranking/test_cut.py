import numpy as np
import pytest
from small_world import make_world

from millrace.streams.ranking.arrays import HistoryWeights
from millrace.streams.ranking.cut_kernel import CUT_WEIGHTS, pool_by_links
from millrace.streams.ranking.exponential_kernel import exp_all
from millrace.streams.ranking.history_kernel import EVIDENCE_LAGS, LINK_KERNELS, TRANSITIONS, WORTHS
from millrace.streams.ranking.marks_kernel import BLOCKED, POOLED
from millrace.streams.statistics.row_kernels import COVISITED, SHORT, TIMED, WIDE

_STATISTIC_OF = (SHORT, SHORT, SHORT, WIDE, TIMED, COVISITED)


@pytest.mark.parametrize("wanted", [1, 7, 1_000])
def test_the_first_cut_keeps_the_items_with_the_most_evidence(wanted):
    world = make_world(items=400, events=900)
    world.candidates_of(world.users["u1"])
    view, rows, random = world.step.view, world.statistics.rows, np.random.default_rng(wanted)
    history, lags = world.users["u3"].items[:EVIDENCE_LAGS].copy(), min(len(world.users["u3"].items), EVIDENCE_LAGS)
    factors = random.random((lags, LINK_KERNELS)).astype(np.float32)
    back_off, totals = random.random(TRANSITIONS), 1.0 + random.random(LINK_KERNELS)
    weighed = HistoryWeights(factors, np.zeros((lags, WORTHS)), back_off, totals)
    size = len(view.shares)
    available, marks = random.random(size) < 0.8, np.where(random.random(size) < 0.2, BLOCKED, 0).astype(np.uint8)
    free = available & (marks == 0)
    pool, scores = np.zeros(1_000, np.int32), np.zeros(size, np.float32)
    links, items = world.step.link_rows(), world.step.item_arrays()._replace(available=available)
    number = pool_by_links(history, links, weighed, items, marks, scores, wanted, pool)

    evidence = np.zeros((size, TRANSITIONS + 1))
    for lag, row in enumerate(history.tolist()):
        for slot in range(rows.lengths[row]):
            linked = rows.values[row, slot, list(_STATISTIC_OF)]
            evidence[rows.ids[row, slot]] += factors[lag, : TRANSITIONS + 1] * linked
    expected = np.zeros(size)
    for kernel in range(TRANSITIONS):
        chance = evidence[:, kernel] + back_off[kernel] * view.shares
        expected += CUT_WEIGHTS[kernel] * chance / totals[kernel]
    expected += CUT_WEIGHTS[TRANSITIONS] * evidence[:, TRANSITIONS] * view.covisit_norms / totals[TRANSITIONS]
    expected[(evidence.sum(axis=1) == 0.0) | ~free] = 0.0

    assert number == min(wanted, (expected > 0.0).sum())
    assert len(set(pool[:number].tolist())) == number
    best = np.sort(expected)[::-1][:number]
    assert np.sort(expected[pool[:number]])[::-1] == pytest.approx(best, rel=1e-5)
    assert sorted(np.flatnonzero(marks == POOLED).tolist()) == sorted(pool[:number].tolist())
    assert not scores.any()


def test_exponentials_are_those_of_numpy():
    numbers = np.concatenate(([-85.0, -1e9, -np.inf, 0.0, 85.0], np.linspace(-80.0, 80.0, 4_001))).astype(np.float32)
    out = numbers.copy()
    exp_all(out)
    expected = np.exp(np.maximum(numbers.astype(np.float64), -85.0))
    assert out == pytest.approx(expected, rel=3e-7)
