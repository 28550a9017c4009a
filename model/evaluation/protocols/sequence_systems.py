"""Systems that are graded on held-out items: they learn a stream, then rank for many users without learning."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.baselines.baseline import Baseline, FittedBaseline
from millrace.model.dataset.event_table import EventTable
from millrace.model.evaluation.protocols.item_sequences import LeaveOneOut
from millrace.model.evaluation.protocols.steered import SteeredSystem
from millrace.model.evaluation.served_system import ServedOptions
from millrace.model.evaluation.system import Ranking
from millrace.model.learning.log import GrowingLog
from millrace.model.training.first import HeldOut
from millrace.model.training.progress import Progress
from millrace.streams.catalogue import Catalogue
from millrace.streams.ranking import ListRules

# The ranker learns from the newest part of the stream, which the encoder has not seen then: a tenth, and up to three
# tenths of a stream in which a tenth holds few moments.
_MOMENTS_SHARE = (0.1, 0.3)
_WANTED_MOMENTS = 30_000
_MOST_MOMENTS = 60_000
_MOMENTS_A_REFRESH = 1_000


class SequenceLearner(Protocol):
    """Learns events in order; ranks items that it is given."""

    name: str

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Learn the event at `row` of the training stream."""
        ...

    def trained(self) -> None:
        """Take note that the training stream is over."""
        ...

    def rank_given(self, state: UserState, now_ms: int, items: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return given items, best first."""
        ...


class SequenceSystem(SequenceLearner, Protocol):
    """Ranks the whole catalogue as well."""

    def rank(self, state: UserState, now_ms: int) -> Ranking:
        """Return the ranking of what the user has not touched."""
        ...

    def learn_held_out(self, ranked: Sequence[tuple[UserState, ResolvedEvent]]) -> None:
        """Learn the validation items, all ranked before; the state is the one before the event."""
        ...


class BaselineOnSequences:
    """A baseline.

    Args:
        name: Shown in the report.
        baseline: Fresh.
        catalogue: Items.
        seed: Of a fit.
    """

    def __init__(self, name: str, baseline: Baseline, catalogue: Catalogue, seed: int) -> None:
        self.name = name
        self._baseline = baseline
        self._available = catalogue.available
        self._seed = seed
        self._log = GrowingLog()

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Pass on."""
        self._log.add(event.user_id, event.item, event.value, event.ts_ms)
        self._baseline.learn(self._numbered(before), event.item, event.value, event.ts_ms)

    def trained(self) -> None:
        """Fit what is fitted."""
        if isinstance(self._baseline, FittedBaseline):
            self._baseline.fit(self._log.table(), self._seed)

    def rank(self, state: UserState, now_ms: int) -> Ranking:
        """Return every untouched item; ties go to the lower index."""
        scores = self._baseline.scores(self._numbered(state), now_ms)
        allowed = np.flatnonzero(self._allowed(state, len(scores)))
        order = allowed[np.argsort(-scores[allowed], kind="stable")].astype(np.int32)
        return Ranking(tuple(order[:10].tolist()), order)

    def rank_given(self, state: UserState, now_ms: int, items: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the given items that are untouched, by score."""
        scores = self._baseline.scores(self._numbered(state), now_ms)
        items = items[self._allowed(state, len(scores))[items]]
        return items[np.argsort(-scores[items], kind="stable")]

    def learn_held_out(self, ranked: Sequence[tuple[UserState, ResolvedEvent]]) -> None:
        """Learn the events one after the other, then fit again."""
        for row, (before, event) in enumerate(ranked):
            self.learn(row, before, event, True)
        self.trained()

    def _numbered(self, state: UserState) -> UserState:
        """Return the state under its user's number in the log, by which a fitted baseline knows users."""
        return replace(state, user_id=str(self._log.number_of(state.user_id)))

    def _allowed(self, state: UserState, size: int) -> NDArray[np.bool_]:
        allowed = self._available[:size].copy()
        allowed[state.touched[state.touched < size]] = False
        return allowed


class ServedOnStream(SteeredSystem):
    """The served system: statistics learn every event, the encoder the older part first, the ranker the newest part.

    A list is asked for twice: the first answer brings the network's own items, which are candidates of the second, as
    they are of the next list in service.

    Args:
        catalogue: Items.
        events: How many events there are to learn.
        options: How the system is run; its rules are replaced by none.
    """

    def __init__(self, catalogue: Catalogue, events: int, options: ServedOptions) -> None:
        plain = replace(options, rules=ListRules(diversity=0.0, exploration_rate=0.0))
        super().__init__(catalogue, plain)
        newest = round(float(np.clip(_WANTED_MOMENTS / max(events, 1), *_MOMENTS_SHARE)) * events)
        self._first_moment = max(events - newest, 1)
        self._every = max(-(-(events - self._first_moment) // _MOST_MOMENTS), 1)
        self._new_moments = 0

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Learn an event; some of the newest part are moments for the ranker."""
        if row == self._first_moment:
            self.train_encoder()
            self.serve()
        if row >= self._first_moment and row % self._every == 0 and first_touch:
            self.take_moment(before, event)
            self._new_moments += 1
        super().learn(row, before, event, first_touch)
        if self._new_moments >= _MOMENTS_A_REFRESH:
            self.learner.refresh_ranker()
            self.serve()
            self._new_moments = 0

    def take_moment(self, before: UserState, event: ResolvedEvent) -> None:
        """Make the request that the ranker learns from once the event is learned."""
        self.rank(before, event.ts_ms)

    def train_encoder(self) -> None:
        """Let the encoder learn the older part of the stream."""
        self.learner.refresh_encoder()

    def trained(self) -> None:
        """Let the ranker learn its last moments and the encoder the newest part."""
        self.refresh()
        self._new_moments = 0

    def rank(self, state: UserState, now_ms: int) -> Ranking:
        """Return the ranking with the network's own items among the candidates."""
        _, proposed = self.recommend(state, now_ms)
        ranking, _ = self.recommend(replace(state, proposals=proposed.proposals), now_ms)
        return ranking

    def was_candidate(self, state: UserState, item: int) -> bool:
        """Return whether the last ranking of a user could have had an item."""
        return bool((self._asked[state.user_id].candidates[0] == item).any())


class ServedOnSequences(ServedOnStream):
    """The served system on sequences; validation items say how long the encoder is trained.

    Args:
        catalogue: Items.
        parts: The split sequences.
        options: How the system is run.
        progress: Called with phase and share.
    """

    def __init__(self, catalogue: Catalogue, parts: LeaveOneOut, options: ServedOptions, progress: Progress) -> None:
        super().__init__(catalogue, len(parts.training), options)
        self._parts = parts
        self.learner.progress = progress

    def train_encoder(self) -> None:
        """Train in rounds until the validation items say that it is enough."""
        known, validation = self._parts.training, self._parts.validation.events
        self.learner.refresh_encoder(HeldOut(_table([*known, *validation]), len(known)))

    def learn_held_out(self, ranked: Sequence[tuple[UserState, ResolvedEvent]]) -> None:
        """Learn the validation items as the newest part of the stream."""
        for row, (before, event) in enumerate(ranked):
            # The request that ranked the item is its moment; no other list is made.
            super(ServedOnStream, self).learn(len(self._parts.training) + row, before, event, True)
        self.refresh()


def _table(events: Sequence[ResolvedEvent]) -> EventTable:
    log = GrowingLog()
    for event in events:
        log.add(event.user_id, event.item, event.value, event.ts_ms)
    return log.table()
