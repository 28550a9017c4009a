import numpy as np
import pytest
from rich.console import Console

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.protocols import time_split
from millrace.model.evaluation.protocols.time_split import FrozenBaseline
from millrace.model.evaluation.system import Ranking, SystemNotes

CUT = 3


class Diary:
    name, lists_from = "diary", 0

    def __init__(self) -> None:
        self.notes = SystemNotes()
        self.learned: list[int] = []
        self.prepared: list[int] = []

    def prepare(self, row: int) -> None:
        self.prepared.append(row)

    def recommend(self, state: UserState, now_ms: int) -> tuple[Ranking, UserState]:
        return Ranking((1,), np.array([1], np.int32)), state

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        self.learned.append(row)

    def finish(self) -> None:
        pass


@pytest.mark.parametrize(("live", "learned"), [(False, [0, 1, 2]), (True, [0, 1, 2, 3, 4])])
def test_a_baseline_learns_up_to_the_cut_alone_unless_statistics_are_live(live: bool, learned: list[int]) -> None:
    diary = Diary()
    frozen = FrozenBaseline(diary, CUT, live)
    for row in range(5):
        frozen.prepare(row)
        frozen.learn(row, UserState("u"), ResolvedEvent(str(row), "u", 1, 4.0, 0), True)
    assert diary.learned == learned
    assert diary.prepared == [0, 1, 2, CUT]


@pytest.mark.parametrize("cut", [0.0, 1.0])
def test_a_cut_at_an_end_is_refused(cut: float) -> None:
    with pytest.raises(ConfigurationError, match="A cut at"):
        time_split.run(EvaluateOptions(protocol="time-split", cut=cut), Console())
