import numpy as np
import pytest

from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.model.baselines import AllTimePopularity, DecayedMarkov, RecentPopularity
from millrace.model.baselines.baseline import top_untouched

SIZE = 40


def random_events(seed, number=300):
    random = np.random.default_rng(seed)
    states, out = {}, []
    for place in range(number):
        user, item = f"u{random.integers(5)}", int(random.integers(1, SIZE))
        before = states.get(user, UserState(user))
        out.append((before, item))
        states[user] = apply_event(before, ResolvedEvent(f"e{place}", user, item, 3.0, place)).state
    return out, states


def test_markov_equals_the_formula_on_dense_matrices():
    events, states = random_events(1)
    markov = DecayedMarkov(SIZE)
    transitions, medium, long = np.zeros((SIZE, SIZE)), np.zeros(SIZE), np.zeros(SIZE)
    for before, item in events:
        markov.learn(before, item, 3.0, 0)
        for lag, row in enumerate(before.items[:5]):
            if row != item:
                transitions[row, item] += 0.8**lag
        medium, long = medium * np.exp(-1 / 3000), long * np.exp(-1 / 30000)
        medium[item] += 1
        long[item] += 1
    popularity = 0.49 * medium / medium.sum() + 0.49 * long / long.sum() + 0.02 / SIZE
    state = states["u2"]
    expected = sum(
        0.8**lag * (transitions[row] + 10 * popularity) / (transitions[row].sum() + 10)
        for lag, row in enumerate(state.items[:20])
    )
    assert markov.scores(state, 0) == pytest.approx(expected)
    assert markov.scores(UserState("new"), 0) == pytest.approx(popularity)


def test_popularity_counts_and_recent_popularity_fades():
    ever, recent = AllTimePopularity(SIZE), RecentPopularity(SIZE, decay_events=5.0)
    nobody = UserState("nobody")
    for item in [3] * 6 + [4] * 5 + [5] * 3000:
        ever.learn(nobody, item, 3.0, 0)
        recent.learn(nobody, item, 3.0, 0)
    assert ever.scores(nobody, 0)[[3, 4, 5]].tolist() == [6, 5, 3000]
    assert recent.shares[5] == pytest.approx(1.0)
    assert recent.shares.sum() == pytest.approx(1.0)


def test_the_top_leaves_out_touched_and_unavailable_items_and_breaks_ties_by_index():
    scores = np.array([9.0, 1.0, 5.0, 5.0, 7.0, 5.0, 6.0])
    available = np.array([False, True, True, True, True, True, False])
    state = UserState("u", touched=np.array([4], np.int32))
    assert top_untouched(scores, state, available, length=3) == [2, 3, 5]
    assert top_untouched(scores, state, available, length=10) == [2, 3, 5, 1]
