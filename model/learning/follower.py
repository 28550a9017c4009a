"""Replays the log through the serving statistics, so that training sees the features that serving saw."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.user_state import ResolvedEvent, UserState, apply_event
from millrace.model.learning.model_learner import ModelLearner
from millrace.model.learning.moments import Moment
from millrace.streams.catalogue import Catalogue
from millrace.streams.ranking import CandidateStep
from millrace.streams.ranking.requests import request_without_candidates
from millrace.streams.statistics import ItemStatistics

_TOGETHER = 256


@dataclass(frozen=True, slots=True)
class _Step:
    """One event that changed something, with the user before it; whether it is a target of the ranker."""

    before: UserState
    event: ResolvedEvent
    target: bool


class LogFollower:
    """Replays events through statistics, catalogue and user states, and feeds a learner.

    Args:
        learner: Receives each event, and a moment for each target of the ranker.
        items: Dense index -> item.
    """

    def __init__(self, learner: ModelLearner, items: Mapping[int, CatalogueItem]) -> None:
        self._learner = learner
        self._statistics = ItemStatistics()
        self._catalogue = Catalogue()
        self._step = CandidateStep(self._statistics, self._catalogue)
        self._users: dict[str, UserState] = {}
        self.update_items(items)

    def update_items(self, items: Mapping[int, CatalogueItem]) -> None:
        """Add new items and replace changed ones."""
        for index, item in items.items():
            if self._catalogue.item(index) != item:
                self._catalogue.upsert(index, item)

    def follow(
        self, events: Sequence[ResolvedEvent], moments: bool, progress: Callable[[float], None] = lambda share: None
    ) -> None:
        """Replay events in log order; a duplicate changes nothing.

        A request has the time of the user's previous event, since the list was made then. Proposals come from the
        learner's current encoder.

        Args:
            events: The next events of the log.
            moments: Whether to make moments for the ranker.
            progress: Called with the share that is done, 0 to 1.
        """
        for first in range(0, len(events), _TOGETHER):
            progress(first / len(events))
            steps = self._applied(events[first : first + _TOGETHER])
            proposals = self._proposals([step for step in steps if step.target]) if moments else iter(())
            for step in steps:
                if moments and step.target:
                    self._learner.add_moment(self._moment(step, next(proposals)))
                event = step.event
                self._learner.add_event(event.user_id, event.item, event.value, event.ts_ms, event.weight)
                self._statistics.update(step.before, event.item, event.value, event.ts_ms, event.weight)
        progress(1.0)

    def _applied(self, events: Sequence[ResolvedEvent]) -> list[_Step]:
        """Apply events to their users and return those that are not duplicates."""
        steps = []
        for event in events:
            before = self._users.get(event.user_id) or UserState(event.user_id)
            applied = apply_event(before, event)
            if not applied.duplicate:
                self._users[event.user_id] = applied.state
                # Repeats and events of weight 0 are no targets.
                steps.append(_Step(before, event, applied.first_touch and event.weight > 0.0))
        return steps

    def _proposals(self, steps: Sequence[_Step]) -> Iterator[NDArray[np.int32]]:
        if not steps:
            return iter(())
        states = [step.before for step in steps]
        times = [_asked_ms(step) for step in steps]
        return iter(self._learner.proposals(request_without_candidates(states, times)))

    def _moment(self, step: _Step, proposals: NDArray[np.int32]) -> Moment:
        state = replace(step.before, proposals=proposals[proposals > 0])
        times = [_asked_ms(step)]
        batch = self._step.build([state], times, self._learner.weights)
        return Moment(batch.request(), step.event.item, self._popularity_rank(step))

    def _popularity_rank(self, step: _Step) -> int:
        """Return the target's place by all-time count, ties by index, among the items not touched."""
        counts, item = self._statistics.popularity.counts, step.event.item
        if item >= len(counts):
            return len(counts)
        own = counts[item]
        ahead = int((counts[1:] > own).sum() + (counts[1:item] == own).sum())
        touched = step.before.touched[step.before.touched < len(counts)]
        theirs = counts[touched]
        return ahead - int(((theirs > own) | ((theirs == own) & (touched < item))).sum())


def _asked_ms(step: _Step) -> int:
    last_ms = step.before.last_ts_ms
    return step.event.ts_ms if last_ms is None else last_ms
