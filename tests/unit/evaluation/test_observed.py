import numpy as np

from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.evaluation.observed import ObservedSystem
from millrace.model.evaluation.system import Ranking, SystemNotes

RANKING = Ranking((1, 2), np.array([1, 2, 3], np.int32))


class Fixed:
    name, lists_from = "fixed", 0

    def __init__(self) -> None:
        self.notes = SystemNotes()
        self.learned: list[int] = []

    def prepare(self, row: int) -> None:
        pass

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        return RANKING, state

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        self.learned.append(row)

    def finish(self) -> None:
        self.notes.counts["finished"] = 1.0


class Notes:
    def __init__(self) -> None:
        self.rows: list[int] = []
        self.graded_rows: list[tuple[int, Ranking, int]] = []

    def passed(self, row: int) -> None:
        self.rows.append(row)

    def graded(self, row: int, ranking: Ranking, before: UserState, event: ResolvedEvent) -> None:
        self.graded_rows.append((row, ranking, event.item))


def test_an_observer_sees_graded_first_touches_and_the_system_everything() -> None:
    system, notes = Fixed(), Notes()
    watched = ObservedSystem(system, notes, graded=1)
    for row, first in enumerate([True, True, False]):
        watched.prepare(row)
        watched.recommend(UserState("u"), 0)
        watched.learn(row, UserState("u"), ResolvedEvent(str(row), "u", 7, 4.0, 0), first)
    watched.finish()
    assert notes.rows == [0, 1, 2]
    assert notes.graded_rows == [(1, RANKING, 7)]
    assert system.learned == [0, 1, 2]
    assert watched.notes.counts == {"finished": 1.0}


def test_a_list_that_was_never_made_is_not_shown_to_the_observer() -> None:
    notes = Notes()
    ObservedSystem(Fixed(), notes, graded=0).learn(0, UserState("u"), ResolvedEvent("0", "u", 7, 4.0, 0), True)
    assert not notes.graded_rows
