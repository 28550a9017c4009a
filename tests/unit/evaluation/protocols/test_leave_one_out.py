from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.user_state import ResolvedEvent, UserState
from millrace.model.baselines.markov import DecayedMarkov
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.protocols import leave_one_out as protocol
from millrace.model.evaluation.protocols.item_sequences import LeaveOneOut, leave_one_out, read_sequences
from millrace.model.evaluation.protocols.sequence_systems import BaselineOnSequences
from millrace.model.evaluation.system import Ranking
from millrace.streams.catalogue import Catalogue

USERS, ITEMS, LENGTH = 12, 30, 8


def sequences(folder: Path) -> tuple[LeaveOneOut, Catalogue, Path]:
    path = folder / "sequences.txt"
    rng = np.random.default_rng(0)
    lines = []
    for user in range(USERS):
        first = int(rng.integers(ITEMS))
        lines += [f"{user} {(first + step) % ITEMS}" for step in range(LENGTH)]
    path.write_text("\n".join(lines) + "\n")
    read = read_sequences(path)
    return leave_one_out(read), read.catalogue(), path


class Diary:
    """Ranks everything by index and writes down what it is told and when."""

    name = "diary"

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.histories: dict[str, list[int]] = {}

    def learn(self, row: int, before: UserState, event: ResolvedEvent, first_touch: bool) -> None:
        self.notes.append("learn")

    def trained(self) -> None:
        self.notes.append("trained")

    def rank(self, state: UserState, now_ms: int) -> Ranking:
        self.notes.append("rank")
        self.histories[state.user_id] = state.items.tolist()[::-1]
        items = np.array([item for item in range(1, ITEMS + 1) if item not in state.touched], np.int32)
        return Ranking(tuple(items[:10].tolist()), items)

    def rank_given(self, state: UserState, now_ms: int, items: NDArray[np.int32]) -> NDArray[np.int32]:
        return items

    def learn_held_out(self, ranked: list[tuple[UserState, ResolvedEvent]]) -> None:
        self.notes.append("validation")
        self.validated = {event.user_id: event.item for _, event in ranked}


def course(parts: LeaveOneOut, catalogue: Catalogue, system: object, sampled: int = 0) -> protocol._Course:
    return protocol._Course([system], parts, sampled, catalogue, Progress(disable=True), 0)  # type: ignore[list-item]


def test_validation_is_ranked_before_it_is_learned_and_test_is_never_learned(tmp_path: Path) -> None:
    parts, catalogue, _ = sequences(tmp_path)
    diary = Diary()
    run = course(parts, catalogue, diary)
    run.learn_training()
    run.grade(parts.validation, "validation")
    assert all(len(history) == LENGTH - 2 for history in diary.histories.values())
    run.learn_held_out(parts.validation)
    events, graded = run.grade(parts.test, "test")
    training = USERS * (LENGTH - 2)
    assert diary.notes == ["learn"] * training + ["trained"] + ["rank"] * USERS + ["validation"] + ["rank"] * USERS
    # At the test the history ends with the validation item.
    assert {user: history[-1] for user, history in diary.histories.items()} == diary.validated
    wanted = [
        [item for item in range(1, ITEMS + 1) if item not in diary.histories[event.user_id]].index(event.item)
        for event in events
    ]
    assert graded["diary"].places == wanted


def test_a_markov_chain_finds_the_next_item_of_a_chain(tmp_path: Path) -> None:
    parts, catalogue, _ = sequences(tmp_path)
    markov = BaselineOnSequences("markov", DecayedMarkov(ITEMS + 1), catalogue, 0)
    run = course(parts, catalogue, markov, sampled=10)
    run.learn_training()
    run.learn_held_out(parts.validation)
    _, graded = run.grade(parts.test, "test")
    assert np.mean(np.array(graded["markov"].places) == 0) > 0.5
    sampled = graded["markov"].sampled
    assert sampled is not None
    assert float(sampled.figures()["sampled_hit_rate_at_10"]) > 0.9


def test_the_file_has_to_be_given() -> None:
    with pytest.raises(ConfigurationError, match="leave-one-out FILE"):
        protocol.run(EvaluateOptions(protocol="leave-one-out"), Console())
