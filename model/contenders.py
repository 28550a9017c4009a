"""What competes in test-then-train: the baselines, and the count ranker with fixed or online-learned fusion."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.baselines import Baseline
from model.baselines.protocol import top_untouched
from streams.catalogue import Catalogue
from streams.ranking import CandidateStep, FusionWeights, ListRules, RankedItems, select_list
from streams.ranking.online_fusion import OnlineFusion
from streams.statistics import ItemStatistics
from streams.users import ResolvedEvent, UserState


class Contender(Protocol):
    """Makes lists and learns from what happened, event by event."""

    name: str

    def list_for(self, state: UserState, now_ms: int) -> list[int]:
        """Return the list, best first, that the user would be shown."""
        ...

    def learn(self, before: UserState, event: ResolvedEvent) -> None:
        """Learn an event; `list_for` was called for this user's last list before, unless lists are not wanted yet."""
        ...


class BaselineContender:
    """A baseline over the whole catalogue.

    Args:
        name: Shown in the report.
        baseline: Scores and learns.
        catalogue: Which items are available.
    """

    def __init__(self, name: str, baseline: Baseline, catalogue: Catalogue) -> None:
        self.name = name
        self._baseline = baseline
        self._catalogue = catalogue

    def list_for(self, state: UserState, now_ms: int) -> list[int]:
        """Return the 10 best available items that are not touched."""
        return top_untouched(self._baseline.scores(state, now_ms), state, self._catalogue.available)

    def learn(self, before: UserState, event: ResolvedEvent) -> None:
        """Pass the event on."""
        self._baseline.learn(before, event.item, event.value, event.ts_ms)


@dataclass(frozen=True, slots=True)
class _Shown:
    candidates: NDArray[np.int32]
    features: NDArray[np.float32]
    context: NDArray[np.float32]


class CountRanker:
    """Statistics, candidates and linear fusion: what serves when no model does.

    Args:
        name: Shown in the report.
        catalogue: Items.
        online: Learns the fusion weights while it serves; None keeps the default ones.
        lag_events: Events by which the statistics are late, as the pages in a worker's cache are.
        rules: Make the list from the ranking; None takes the first 10.
    """

    def __init__(
        self,
        name: str,
        catalogue: Catalogue,
        online: OnlineFusion | None = None,
        lag_events: int = 0,
        rules: ListRules | None = None,
    ) -> None:
        self.name = name
        self.statistics = ItemStatistics()
        self.step = CandidateStep(self.statistics, catalogue)
        self.online = online
        self.recalled = 0
        self._fixed = FusionWeights.default()
        self._rules = rules
        self._lag_events = lag_events
        self._late: deque[tuple[UserState, ResolvedEvent]] = deque()
        self._shown: dict[str, _Shown] = {}

    def list_for(self, state: UserState, now_ms: int) -> list[int]:
        """Return the 10 best candidates by the linear fusion."""
        weights = self.online.weights if self.online is not None else self._fixed
        batch = self.step.build([state], [now_ms], weights)
        size = int((batch.candidates[0] > 0).sum())
        self._shown[state.user_id] = _Shown(batch.candidates[0, :size], batch.features[0, :size], batch.context[0])
        if self._rules is None:
            return [int(item) for item in batch.candidates[0, :10]]
        ranked = RankedItems.from_linear(batch, 0)
        listed = select_list(self._rules, ranked, state, self.step, f"{state.user_id}-{state.count}")
        return [entry.item for entry in listed]

    def learn(self, before: UserState, event: ResolvedEvent) -> None:
        """Learn fusion from the candidates last made for the user, then the (late) statistics."""
        shown = self._shown.get(event.user_id)
        if shown is not None:
            places = np.flatnonzero(shown.candidates == event.item)
            if len(places):
                self.recalled += 1
                if self.online is not None:
                    self.online.learn(shown.features, shown.context, int(places[0]))
        self._late.append((before, event))
        while len(self._late) > self._lag_events:
            state, late = self._late.popleft()
            self.statistics.update(state, late.item, late.value, late.ts_ms)


def learn_all(contenders: Iterable[Contender], before: UserState, event: ResolvedEvent) -> None:
    """Let every contender learn one event."""
    for contender in contenders:
        contender.learn(before, event)
