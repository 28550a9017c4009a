"""A system that is watched while the evaluator grades it."""

from typing import Protocol

from model.evaluation.system import Ranking, System, Told
from streams.users import ResolvedEvent, UserState


class Observer(Protocol):
    """Sees what the evaluator grades."""

    def passed(self, row: int) -> None:
        """Take note that the event at `row` is next."""
        ...

    def graded(self, row: int, ranking: Ranking, before: UserState, event: ResolvedEvent) -> None:
        """Take note of a graded ranking and what came."""
        ...


class ObservedSystem:
    """To the evaluator the system itself; what it grades is shown to an observer first.

    Args:
        system: Makes the lists.
        observer: What it raises ends the evaluation.
        graded: First graded row.
    """

    def __init__(self, system: System, observer: Observer, graded: int) -> None:
        self._system = system
        self._observer = observer
        self._graded = graded
        self._rankings: dict[str, Ranking] = {}
        self.name = system.name
        self.lists_from = system.lists_from

    @property
    def told(self) -> Told:
        """What the system has to say."""
        return self._system.told

    @told.setter
    def told(self, told: Told) -> None:
        self._system.told = told

    def prepare(self, row: int) -> None:
        """Tell the observer, then pass on."""
        self._observer.passed(row)
        self._system.prepare(row)

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        """Pass on and remember the ranking."""
        ranking, kept = self._system.recommend(state, now_ms)
        self._rankings[state.user_id] = ranking
        return ranking, kept

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Show the observer what the user was last shown, then pass on."""
        ranking = self._rankings.pop(event.user_id, None)
        if ranking is not None and first_touch and row >= self._graded:
            self._observer.graded(row, ranking, before, event)
        self._system.learn(row, before, event, first_touch)

    def finish(self) -> None:
        """Pass on."""
        self._system.finish()
