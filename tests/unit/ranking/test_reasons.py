"""Reasons are counterfactual: without the history item that is named, the score falls more than without any other."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from recorded import Past, recorded_past

from millrace.kernel.user_state import UserState
from millrace.streams.ranking import FusionWeights, ListRules, RankedItems, select_list

PLAIN = ListRules(diversity=0.0, exploration_rate=0.0)
EVENTS = 9_000
LAGS = 20
USERS = 30


@pytest.fixture(scope="module")
def past() -> Past:
    return recorded_past(EVENTS)


def scores_of(past: Past, state: UserState, items: np.ndarray) -> np.ndarray:
    """Score the items by the whole linear fusion; proposed items are candidates whatever the history says."""
    batch = past.step.build([replace(state, proposals=items)], [state.last_ts_ms or 0], FusionWeights.default())
    found = dict(zip(batch.candidates[0].tolist(), batch.linear[0].tolist(), strict=True))
    return np.array([found[item] for item in items.tolist()])


def without(state: UserState, lag: int) -> UserState:
    return replace(
        state,
        items=np.delete(state.items, lag),
        values=np.delete(state.values, lag),
        ts_ms=np.delete(state.ts_ms, lag),
    )


def comparisons(past: Past) -> Iterator[tuple[np.ndarray, int]]:
    """Yield, for listed items with a reason, the drop [H] by history item and the place that is named."""
    for state in past.latest_users(USERS, least_events=8):
        ranked = RankedItems.from_linear(past.step.build([state], [state.last_ts_ms], FusionWeights.default()), 0)
        listed = select_list(PLAIN, ranked, state, past.step, "r")
        items = np.array([entry.item for entry in listed], np.int32)
        whole = scores_of(past, state, items)
        drops = np.array([whole - scores_of(past, without(state, lag), items) for lag in range(LAGS)[: state.count]])
        for place, entry in enumerate(listed):
            if entry.because is not None:
                yield drops[:, place], state.items.tolist().index(entry.because)


def test_taking_the_named_item_away_lowers_the_score_most_for_most_items(past: Past) -> None:
    compared = list(comparisons(past))
    assert len(compared) > 6 * USERS
    named_most = [drops.argmax() == named for drops, named in compared]
    lowers = [drops[named] > 0.0 for drops, named in compared]
    above = [(drops > drops[named]).mean() for drops, named in compared]
    assert np.mean(named_most) > 0.7
    assert np.mean(lowers) > 0.97
    assert np.mean(above) < 0.05
