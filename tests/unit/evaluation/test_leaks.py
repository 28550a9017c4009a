"""Systems that cheat are caught, and one that does not is left alone."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.baselines.markov import DecayedMarkov
from millrace.model.baselines.popularity import AllTimePopularity
from millrace.model.evaluation.grading import GradingRun, ListTiming, continue_grading, grade
from millrace.model.evaluation.leaks import LeakProbe, future_dependence
from millrace.model.evaluation.past import LeakError, PastEvents
from millrace.model.evaluation.split import Split, before_graded
from millrace.model.evaluation.system import CandidateFeatures, Ranking, System
from millrace.model.recorded_stream import RecordedStream
from tests.unit.evaluation.plain_system import PlainSystem, small_stream

STREAM = small_stream(events=3_000, users=40, items=150)
SPLIT = Split.of(len(STREAM.events))
ITEMS = 150


def honest(events: Sequence[ResolvedEvent]) -> PlainSystem:
    return PlainSystem("honest", DecayedMarkov(ITEMS + 1), STREAM.catalogue, SPLIT.warm_up)


class Peeking(PlainSystem):
    """Reads the next event and shows its item, now and then."""

    def __init__(self, events: Sequence[ResolvedEvent], ahead: int = 0) -> None:
        super().__init__("peeking", AllTimePopularity(ITEMS + 1), STREAM.catalogue, SPLIT.warm_up)
        self._events = events
        self._ahead = ahead
        self._row = 0

    def prepare(self, row: int) -> None:
        self._row = row

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        ranking, kept = super().recommend(state, now_ms)
        target = self._events[min(self._row + self._ahead, len(self._events) - 1)].item
        ranked = [target, *(item for item in ranking.ranked.tolist() if item != target)]
        return Ranking(tuple(ranked[:10]), np.array(ranked, np.int32)), kept


class WithFeatures(PlainSystem):
    """Shows features of 100 candidates; one of them may be told the target."""

    def __init__(self, told: float, always_found: bool = False) -> None:
        super().__init__("with features", DecayedMarkov(ITEMS + 1), STREAM.catalogue, SPLIT.graded)
        self._told_share = told
        self._always_found = always_found
        self._row = 0
        self._state = UserState("nobody")
        self._chance = np.random.default_rng(1)

    def prepare(self, row: int) -> None:
        self._row = row

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        self._state = state
        return super().recommend(state, now_ms)

    def last_features(self) -> CandidateFeatures:
        target = STREAM.events[self._row].item
        items = self._chance.choice(np.arange(1, ITEMS + 1), 60, replace=False).astype(np.int32)
        if self._always_found and target not in items:
            items[0] = target
        scores = self._baseline.scores(self._state, 0)[items]
        indicator = (items == target) & (self._chance.random() < self._told_share)
        leaked = indicator + self._chance.normal(0, 0.05, len(items))
        return CandidateFeatures(("transition", "popular"), items, np.stack([scores, leaked], 1).astype(np.float32))


def findings(system: System) -> tuple[str, ...]:
    probe = LeakProbe(ITEMS, SPLIT.stop - SPLIT.graded)
    outcomes = continue_grading(STREAM.events, GradingRun(system, observer=probe), SPLIT)
    return probe.findings(outcomes)


def test_an_honest_system_is_left_alone() -> None:
    assert findings(honest(STREAM.events)) == ()
    assert findings(WithFeatures(told=0.0)) == ()


@pytest.mark.parametrize("told", [1.0, 0.7])
def test_a_model_given_the_target_as_a_feature_is_caught(told: float) -> None:
    (sentence,) = findings(WithFeatures(told))
    assert sentence.startswith("The feature popular singles out the next item in")


def test_candidates_that_always_hold_the_target_are_caught() -> None:
    (sentence,) = findings(WithFeatures(0.0, always_found=True))
    assert "the candidates know the answer" in sentence


def test_a_system_that_is_always_right_is_caught() -> None:
    (sentence,) = findings(Peeking(STREAM.events))
    assert sentence.startswith("peeking puts the next item first in 100%")


@pytest.mark.parametrize("ahead", [0, 1, 20])
def test_the_future_cannot_be_read(ahead: int) -> None:
    past = PastEvents(STREAM.events)
    with pytest.raises(LeakError, match="may depend on the past alone"):
        grade(past, Peeking(past, ahead), SPLIT)


@pytest.mark.parametrize("moment", list(ListTiming))
def test_the_past_can_be_read(moment: ListTiming) -> None:
    past = PastEvents(STREAM.events)
    grade(past, Peeking(past, ahead=-1), Split(SPLIT.warm_up, SPLIT.graded, SPLIT.graded + 50), moment)


@pytest.mark.parametrize("part", [slice(3), slice(0, 3), slice(2, 0, -1)])
def test_slices_of_the_past(part: slice) -> None:
    past = PastEvents(STREAM.events)
    past.reveal(3)
    assert past[part] == STREAM.events[part]


@pytest.mark.parametrize("part", [3, -1, slice(4), slice(None), slice(None, None, -1)])
def test_nothing_of_the_future(part: int | slice) -> None:
    past = PastEvents(STREAM.events)
    past.reveal(3)
    with pytest.raises(LeakError):
        past[part]


@pytest.mark.parametrize("row", [700, 1_200])
def test_shuffling_the_future_changes_no_list_of_the_past(row: int) -> None:
    assert future_dependence(honest, STREAM.events, SPLIT, row, seed=1) is None


@pytest.mark.parametrize(("ahead", "first_changed"), [(0, 1_200), (30, 1_170)])
def test_lists_that_depend_on_the_future_are_found(ahead: int, first_changed: int) -> None:
    def peeking(events: Sequence[ResolvedEvent]) -> System:
        return Peeking(events, ahead)

    assert future_dependence(peeking, STREAM.events, SPLIT, 1_200, seed=1) == first_changed


def test_lists_before_a_permuted_tail_are_identical() -> None:
    """The same with the loop itself: users, items and all of the tail in another order."""
    cut = 2_000
    tail = list(STREAM.events[cut:])
    random.Random(3).shuffle(tail)
    shuffled = RecordedStream([*STREAM.events[:cut], *tail], STREAM.catalogue)
    one = grade(STREAM.events, honest(STREAM.events), SPLIT)
    other = grade(shuffled.events, honest(shuffled.events), SPLIT)
    graded_before = cut - SPLIT.graded
    assert (one.shown[:graded_before] == other.shown[:graded_before]).all()
    assert (one.ranks[:graded_before] == other.ranks[:graded_before]).all()
    assert not (one.shown == other.shown).all()


def test_what_is_chosen_cannot_see_the_graded_part() -> None:
    events = list(STREAM.events)
    visible = before_graded(events, SPLIT)
    assert list(visible) == events[: SPLIT.graded]
    events[0] = events[-1]
    assert visible[0] != events[0]
    assert not hasattr(visible, "everything")
