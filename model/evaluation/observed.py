"""A system that is watched while the evaluator grades it."""

from typing import Protocol

from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.evaluation.system import Ranking, System, SystemProxy


class Observer(Protocol):
    """Sees what the evaluator grades."""

    def passed(self, row: int) -> None:
        """Take note that the event at `row` is next."""
        ...

    def graded(self, row: int, ranking: Ranking, before: UserState, event: ResolvedEvent) -> None:
        """Take note of a graded ranking and what came."""
        ...


class ObservedSystem(SystemProxy):
    """To the evaluator the system itself; what it grades is shown to an observer first.

    Args:
        system: Makes the lists.
        observer: What it raises ends the evaluation.
        graded: First graded row.
    """

    def __init__(self, system: System, observer: Observer, graded: int) -> None:
        super().__init__(system)
        self._observer = observer
        self._graded = graded
        self._rankings: dict[str, Ranking] = {}

    def prepare(self, row: int) -> None:
        """Tell the observer, then pass on."""
        self._observer.passed(row)
        super().prepare(row)

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        """Pass on and remember the ranking."""
        ranking, kept = super().recommend(state, now_ms)
        self._rankings[state.user_id] = ranking
        return ranking, kept

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Show the observer what the user was last shown, then pass on."""
        ranking = self._rankings.pop(event.user_id, None)
        if ranking is not None and first_touch and row >= self._graded:
            self._observer.graded(row, ranking, before, event)
        super().learn(row, before, event, first_touch)
