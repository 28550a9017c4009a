"""A system whose graded lists an observer sees."""

from typing import Protocol

from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.evaluation.system import Ranking, System, SystemProxy


class Observer(Protocol):
    """Is called for each row and each graded list."""

    def passed(self, row: int) -> None:
        """Handle the start of the event at `row`."""
        ...

    def graded(self, row: int, ranking: Ranking, before: UserState, event: ResolvedEvent) -> None:
        """Handle a graded ranking and the event that followed it."""
        ...


class ObservedSystem(SystemProxy):
    """Forwards to a system and shows each graded list to an observer.

    Args:
        system: Makes the lists.
        observer: Sees them; an exception that it raises ends the evaluation.
        graded: First graded row.
    """

    def __init__(self, system: System, observer: Observer, graded: int) -> None:
        super().__init__(system)
        self._observer = observer
        self._graded = graded
        self._rankings: dict[str, Ranking] = {}

    def prepare(self, row: int) -> None:
        """Call the observer, then forward."""
        self._observer.passed(row)
        super().prepare(row)

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        """Forward, and remember the ranking."""
        ranking, kept = super().recommend(state, now_ms)
        self._rankings[state.user_id] = ranking
        return ranking, kept

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        """Show the observer the user's last ranking, then forward."""
        ranking = self._rankings.pop(event.user_id, None)
        if ranking is not None and first_touch and row >= self._graded:
            self._observer.graded(row, ranking, before, event)
        super().learn(row, before, event, first_touch)
