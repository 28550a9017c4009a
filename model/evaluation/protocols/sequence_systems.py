"""Systems that are graded on held-out items: they learn a stream, then rank for many users without learning."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.baselines.protocol import Baseline, FittedBaseline
from model.dataset.events import EventTable
from model.evaluation.protocols.encoder_rounds import Rounds, train_in_rounds
from model.evaluation.protocols.sequences import LeaveOneOut
from model.evaluation.protocols.steered import SteeredSystem
from model.evaluation.served import ServedOptions
from model.evaluation.system import Ranking
from model.learning.log import GrowingLog
from streams.catalogue import Catalogue
from streams.ranking import ListRules
from streams.users import ResolvedEvent, UserState

# The ranker learns from the newest part of the stream, which the encoder has not seen then.
_MOMENTS_FROM = 0.9
_MOST_MOMENTS = 30_000
_MOMENTS_A_REFRESH = 1_000

Told = Callable[[str, float], None]


class SequenceSystem(Protocol):
    """Learns events in order; ranks the whole catalogue for a user."""

    name: str

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Learn the event at `row` of the training stream."""
        ...

    def trained(self) -> None:
        """Take note that the training stream is over."""
        ...

    def rank(self, state: UserState, now_ms: int) -> Ranking:
        """Return the ranking of what the user has not touched."""
        ...

    def rank_given(self, state: UserState, now_ms: int, items: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return given items, best first."""
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
        self._baseline.learn(before, event.item, event.value, event.ts_ms)

    def trained(self) -> None:
        """Fit what is fitted."""
        if isinstance(self._baseline, FittedBaseline):
            self._baseline.fit(self._log.table(), self._seed)

    def rank(self, state: UserState, now_ms: int) -> Ranking:
        """Return every untouched item; ties go to the lower index."""
        scores = self._baseline.scores(state, now_ms)
        allowed = np.flatnonzero(self._allowed(state, len(scores)))
        order = allowed[np.argsort(-scores[allowed], kind="stable")].astype(np.int32)
        return Ranking(tuple(order[:10].tolist()), order)

    def rank_given(self, state: UserState, now_ms: int, items: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the given items that are untouched, by score."""
        scores = self._baseline.scores(state, now_ms)
        items = items[self._allowed(state, len(scores))[items]]
        return items[np.argsort(-scores[items], kind="stable")]

    def learn_held_out(self, ranked: Sequence[tuple[UserState, ResolvedEvent]]) -> None:
        """Learn the events one after the other, then fit again."""
        for row, (before, event) in enumerate(ranked):
            self.learn(row, before, event, True)
        self.trained()

    def _allowed(self, state: UserState, size: int) -> NDArray[np.bool_]:
        allowed = self._available[:size].copy()
        allowed[state.touched[state.touched < size]] = False
        return allowed


class ServedOnSequences(SteeredSystem):
    """The served system: statistics learn every event, the encoder in rounds, the ranker from the newest part.

    A list is asked for twice: the first answer brings the network's own items, which are candidates of the second, as
    they are of the next list in service.

    Args:
        catalogue: Items.
        parts: The split sequences.
        options: How the system is run; its rules are replaced by none.
        told: Told phase and share.
    """

    def __init__(self, catalogue: Catalogue, parts: LeaveOneOut, options: ServedOptions, told: Told) -> None:
        plain = replace(options, rules=ListRules(diversity=0.0, exploration_rate=0.0))
        super().__init__(catalogue, plain)
        self._parts = parts
        self._told = told
        self._first_moment = max(round(len(parts.training) * _MOMENTS_FROM), 1)
        later = len(parts.training) - self._first_moment
        self._every = max(-(-later // _MOST_MOMENTS), 1)
        self._new_moments = 0
        self.rounds: Rounds | None = None

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Learn an event; some of the newest part are moments for the ranker."""
        if row == self._first_moment:
            self._train_encoder()
        if row >= self._first_moment and row % self._every == 0 and first_touch:
            self.rank(before, event.ts_ms)
            self._new_moments += 1
        super().learn(row, before, event, first_touch)
        if self._new_moments >= _MOMENTS_A_REFRESH:
            self._refresh_ranker()

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

    def learn_held_out(self, ranked: Sequence[tuple[UserState, ResolvedEvent]]) -> None:
        """Learn the validation items as the newest part of the stream."""
        for row, (before, event) in enumerate(ranked):
            super().learn(len(self._parts.training) + row, before, event, True)
        self.refresh()

    def _refresh_ranker(self) -> None:
        self.learner.refresh_ranker()
        self.serve()
        self._new_moments = 0

    def _train_encoder(self) -> None:
        if "encoder" in self._options.without:
            self.serve()
            return
        everything = [*self._parts.training, *self._parts.validation.events]
        self.rounds = train_in_rounds(
            self.learner,
            _table(everything),
            len(self._parts.training),
            self._options.configuration.encoder.learning_rate,
            self._options.seed,
            lambda share: self._told("encoder", share),
        )
        self.serve()


def _table(events: Sequence[ResolvedEvent]) -> EventTable:
    log = GrowingLog()
    for event in events:
        log.add(event.user_id, event.item, event.value, event.ts_ms)
    return log.table()
