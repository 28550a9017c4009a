"""The evaluator's own checks that no system knows the answer before it gives its list.

- A system reads the stream through `PastEvents`, which refuses what lies ahead.
- `LeakProbe` looks at the features of candidates: none may single out the item that follows.
- `future_dependence` runs a system on two streams with the same past; it must give the same lists.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.evaluation.grading import grade
from millrace.model.evaluation.outcomes import SystemOutcomes
from millrace.model.evaluation.split import Split
from millrace.model.evaluation.system import Ranking, ShowsFeatures, System, SystemProxy

# The best first places seen on MovieLens streams are below .1; half of them is out of reach of any honest system there.
IMPLAUSIBLE_FIRST_PLACES = 0.5
IMPLAUSIBLE_RECALL = 0.995
# Fewer lists say nothing.
_LEAST_LISTS = 50
# A choice among fewer items can be right half of the time by skill.
_LEAST_ITEMS = 50
# Enough to be sure, and no burden.
_LOOKS = 2_000


class LeakProbe:
    """Looks at every few lists: does a feature, or being a candidate at all, tell the item that follows?

    Args:
        items: Items that can be recommended.
        graded: Events to be graded, about.
    """

    def __init__(self, items: int, graded: int) -> None:
        self._items = items
        self._every = max(graded // _LOOKS, 1)
        self._asked = 0
        self._lists = 0
        self._largest = 0
        self._found = 0
        self._singled_out: NDArray[np.int64] = np.zeros(0, np.int64)
        self._names: tuple[str, ...] = ()

    def observe(self, system: System, target: int) -> None:
        """Look at the list just made; `target` is the item of the event that follows."""
        self._asked += 1
        if self._asked % self._every or not isinstance(system, ShowsFeatures):
            return
        shown = system.last_features()
        if shown is None or len(shown.items) < _LEAST_ITEMS:
            return
        if shown.names != self._names:
            self._names, self._singled_out = shown.names, np.zeros(len(shown.names), np.int64)
            self._found = self._lists = self._largest = 0
        self._lists += 1
        self._largest = max(self._largest, len(shown.items))
        places = np.flatnonzero(shown.items == target)
        if len(places):
            self._found += 1
            self._singled_out += _singled_out(shown.features, int(places[0]))

    def findings(self, outcomes: SystemOutcomes) -> tuple[str, ...]:
        """Return what cannot be true of a system that does not know the answer, one sentence each."""
        return (*self._features(), *self._candidates(), *implausible(outcomes, self._items))

    def _features(self) -> list[str]:
        if self._found < _LEAST_LISTS:
            return []
        shares = self._singled_out / self._found
        return [
            f"The feature {name} singles out the next item in {share:.0%} of {self._found} lists: it knows the answer."
            for name, share in zip(self._names, shares, strict=True)
            if share > IMPLAUSIBLE_FIRST_PLACES
        ]

    def _candidates(self) -> list[str]:
        if self._lists < 4 * _LEAST_LISTS or self._largest > self._items / 2:
            return []
        recall = self._found / self._lists
        if recall < IMPLAUSIBLE_RECALL:
            return []
        return [
            f"The next item is among at most {self._largest} of {self._items} items in {recall:.1%} of {self._lists} "
            "lists: the candidates know the answer."
        ]


def implausible(outcomes: SystemOutcomes, items: int) -> tuple[str, ...]:
    """Return a sentence if a system is right too often to be honest."""
    if len(outcomes.ranks) < _LEAST_LISTS or items < 2 * _LEAST_ITEMS:
        return ()
    share = float((outcomes.ranks == 0).mean())
    if share <= IMPLAUSIBLE_FIRST_PLACES:
        return ()
    return (
        f"{outcomes.name} puts the next item first in {share:.0%} of {len(outcomes.ranks)} lists out of {items} items: "
        "it knows the answer.",
    )


def future_dependence(
    make_system: Callable[[Sequence[ResolvedEvent]], System],
    events: Sequence[ResolvedEvent],
    split: Split,
    row: int,
    seed: int,
) -> int | None:
    """Return the first row whose list changes when what happens from `row` on is shuffled; None if there is none.

    Args:
        make_system: Returns a fresh system for a stream.
        events: In time order.
        split: Up to `row` at least.
        row: The items and values from here on are shuffled among the same users and times.
        seed: Of the shuffle.
    """
    original = _lists_up_to(make_system, events, split, row)
    shuffled = _lists_up_to(make_system, _future_shuffled(events, row, seed), split, row)
    for (at, one), (_, other) in zip(original, shuffled, strict=True):
        if one.shown != other.shown or not np.array_equal(one.ranked, other.ranked):
            return at
    return None


class _Recorder(SystemProxy):
    """Records each list of a system with the row it was made for."""

    def __init__(self, system: System) -> None:
        super().__init__(system)
        self.lists: list[tuple[int, Ranking]] = []
        self._row = 0

    def prepare(self, row: int) -> None:
        self._row = row
        super().prepare(row)

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        ranking, kept = super().recommend(state, now_ms)
        self.lists.append((self._row, ranking))
        return ranking, kept


def _lists_up_to(
    make_system: Callable[[Sequence[ResolvedEvent]], System], events: Sequence[ResolvedEvent], split: Split, row: int
) -> list[tuple[int, Ranking]]:
    recorder = _Recorder(make_system(events))
    grade(events, recorder, replace(split, stop=row + 1))
    return recorder.lists


def _future_shuffled(events: Sequence[ResolvedEvent], row: int, seed: int) -> list[ResolvedEvent]:
    future = list(events[row:])
    order = np.random.default_rng(seed).permutation(len(future))
    items = [future[place] for place in order.tolist()]
    return [
        *events[:row],
        *(
            replace(event, item=other.item, value=other.value, event_id=f"{event.event_id}-shuffled")
            for event, other in zip(future, items, strict=True)
        ),
    ]


def _singled_out(features: NDArray[np.float32], place: int) -> NDArray[np.bool_]:
    """Return [F] whether the candidate at `place` has the strictly largest or the strictly smallest value."""
    own = features[place]
    others = np.delete(features, place, axis=0)
    return np.asarray((own > others.max(axis=0)) | (own < others.min(axis=0)))
