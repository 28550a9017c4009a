"""What every registered baseline has to do; what single ones do besides is in the other baseline tests."""

import pickle
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.model.baselines import BASELINES, BaselineSetup, FittedBaseline
from millrace.model.baselines.baseline import top_untouched
from millrace.model.baselines.sasrec import Sasrec
from millrace.model.baselines.sasrec_inference import SasrecConfig
from millrace.model.dataset.event_table import EventTable

PAIRS = 12
SIZE = 2 * PAIRS + 1
USERS = 60
POPULAR = 1
TINY = SasrecConfig(width=16, blocks=2, length=6)
# Ranks by predicted rating, which says nothing of who touches what.
RANKED_BY_RATING = {"mf"}
KNOWS_NO_HISTORY = {"popularity", "recent_popularity"}
# Knows users, not histories: a few events of somebody new move little.
KNOWS_USERS = {"ncf"}
NAMES = sorted(BASELINES)
# Loading TensorFlow and tracing a graph for each of many instances takes too long: SASRec has a test of its own.
QUICK = [name for name in NAMES if name != "sasrec"]
BY_TOUCHES = [name for name in NAMES if name not in RANKED_BY_RATING]
BY_HISTORY = [name for name in BY_TOUCHES if name not in KNOWS_NO_HISTORY | KNOWS_USERS]


@dataclass(frozen=True)
class Stream:
    """Log rows with the state before each, and the states after the last."""

    table: EventTable
    befores: tuple[UserState, ...]
    users: dict[str, UserState]


def make_stream() -> Stream:
    """Users touch item 1, then pairs (a, a + PAIRS) in random order of pairs: the partner always follows at once."""
    rng = np.random.default_rng(4)
    users: dict[str, UserState] = {}
    befores, rows = [], []
    for user in range(USERS):
        pairs = rng.permutation(np.arange(2, PAIRS + 1))[:4]
        for item in [POPULAR, *(part for first in pairs for part in (first, first + PAIRS))]:
            before = users.get(str(user), UserState(str(user)))
            event = ResolvedEvent(f"e{len(rows)}", str(user), int(item), 3.0 + float(rng.integers(3)), 1000 * len(rows))
            befores.append(before)
            rows.append((user, event.item, event.value, event.ts_ms))
            users[str(user)] = apply_event(before, event).state
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    types = (np.int32, np.int32, np.float32, np.int64)
    return Stream(EventTable(*(c.astype(t) for c, t in zip(columns, types, strict=True))), tuple(befores), users)


STREAM = make_stream()


def make(name: str, seed: int = 0, size: int = SIZE):
    if name == "sasrec":
        return Sasrec(size, seed, TINY)
    return BASELINES[name](BaselineSetup(size, seed))


def teach(baseline, first: int = 0, last: int | None = None) -> None:
    table = STREAM.table
    for row in range(first, len(table) if last is None else last):
        baseline.learn(STREAM.befores[row], int(table.items[row]), float(table.values[row]), int(table.ts_ms[row]))


def taught(name: str, seed: int = 0):
    baseline = make(name, seed)
    teach(baseline)
    if isinstance(baseline, FittedBaseline):
        baseline.fit(STREAM.table, seed)
    return baseline


@cache
def _pickled(name: str) -> bytes:
    return pickle.dumps(taught(name))


def learned(name: str):
    """Return a baseline that learned the stream; a copy, since some checks move it on."""
    return pickle.loads(_pickled(name))  # noqa: S301 - made by this module


def state_of(*items: int, user_id: str = "somebody") -> UserState:
    state = UserState(user_id)
    for place, item in enumerate(items):
        state = apply_event(state, ResolvedEvent(f"s{place}", user_id, item, 4.0, place)).state
    return state


STATES = [UserState("new"), state_of(3), state_of(3, 9, 2, 5), STREAM.users["7"]]


def test_the_registry_has_the_names_that_reports_use():
    assert set(NAMES) == {"popularity", "recent_popularity", "markov", "item_knn", "ease", "mf", "ncf", "sasrec"}


@pytest.mark.parametrize("name", NAMES)
def test_a_fresh_baseline_scores_everything_and_has_a_rhythm_if_it_is_fitted(name):
    baseline = make(name)
    for state in STATES:
        scores = baseline.scores(state, 0)
        assert scores.shape == (SIZE,)
        assert np.isfinite(scores).all()
    if isinstance(baseline, FittedBaseline):
        assert 0.0 < baseline.refit_share <= 1.0


@pytest.mark.parametrize("name", NAMES)
def test_scores_cover_the_catalogue_and_are_finite_doubles(name):
    baseline = learned(name)
    for state in STATES:
        scores = baseline.scores(state, 0)
        assert scores.shape == (SIZE,)
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", NAMES)
def test_asking_changes_nothing(name):
    baseline = learned(name)
    before = [baseline.scores(state, 0).copy() for state in STATES]
    for state in reversed(STATES):
        baseline.scores(state, 0)[:] = -5.0
    for state, scores in zip(STATES, before, strict=True):
        np.testing.assert_array_equal(baseline.scores(state, 0), scores)


@pytest.mark.parametrize("name", NAMES)
def test_scores_handed_out_do_not_change_when_more_is_learned(name):
    baseline = learned(name)
    handed_out = baseline.scores(STATES[2], 0)
    copy = handed_out.copy()
    for _ in range(20):
        baseline.learn(STATES[2], 6, 5.0, 10_000)
    np.testing.assert_array_equal(handed_out, copy)


@pytest.mark.parametrize("name", QUICK)
def test_the_same_seed_and_stream_give_the_same_scores(name):
    first, second = taught(name, seed=3), taught(name, seed=3)
    for state in STATES:
        np.testing.assert_array_equal(first.scores(state, 0), second.scores(state, 0))


@pytest.mark.parametrize("name", QUICK)
def test_scores_of_a_moment_know_nothing_of_what_comes_later(name):
    half = len(STREAM.table) // 2
    with_future, without = make(name), make(name)
    for baseline in (with_future, without):
        teach(baseline, 0, half)
        if isinstance(baseline, FittedBaseline):
            baseline.fit(STREAM.table.head(half), 0)
    collected = [with_future.scores(state, 0) for state in STATES]
    teach(with_future, half)
    for state, scores in zip(STATES, collected, strict=True):
        np.testing.assert_array_equal(scores, without.scores(state, 0))


@pytest.mark.parametrize("name", BY_TOUCHES)
def test_a_new_user_is_offered_what_is_popular(name):
    nobody = UserState("new")
    listed = top_untouched(learned(name).scores(nobody, 0), nobody, np.arange(SIZE) > 0)
    assert POPULAR in listed[:3]


@pytest.mark.parametrize("name", BY_HISTORY)
def test_the_partner_of_the_last_item_is_found(name):
    baseline = learned(name)
    found = 0
    for first in range(2, PAIRS + 1):
        state = state_of(POPULAR, first)
        found += first + PAIRS in top_untouched(baseline.scores(state, 0), state, np.arange(SIZE) > 0, 3)
    # Chance would find one or two of the eleven.
    assert found >= 7


@pytest.mark.parametrize("name", NAMES)
def test_unknown_items_in_a_history_are_passed_over(name):
    baseline = learned(name)
    scores = baseline.scores(state_of(3, SIZE + 500), 0)
    assert scores.shape == (SIZE,)
    assert np.isfinite(scores).all()
    assert np.isfinite(baseline.scores(state_of(SIZE + 500), 0)).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_catalogue_may_grow(name):
    baseline = learned(name)
    for _ in range(3):
        baseline.learn(state_of(3), SIZE + 7, 5.0, 10_000)
    scores = baseline.scores(state_of(3), 0)
    assert len(scores) > SIZE + 7
    assert np.isfinite(scores).all()
    baseline.learn(state_of(SIZE + 40), 3, 5.0, 10_000)
    assert np.isfinite(baseline.scores(state_of(SIZE + 40), 0)).all()
