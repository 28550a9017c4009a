from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from millrace.kernel.errors import ConfigurationError
from millrace.kernel.user_state import ResolvedEvent
from millrace.model.evaluation.protocols.item_sequences import LeaveOneOut, leave_one_out, read_sequences

TEXT = "1 10\n1 20\n1 30\n1 40\n2 20\n2 10\n2 50\n3 10\n3 20\n"


def written(folder: Path, text: str = TEXT) -> Path:
    path = folder / "sequences.txt"
    path.write_text(text)
    return path


def split(folder: Path, seed: int = 0) -> LeaveOneOut:
    return leave_one_out(read_sequences(written(folder)), seed)


def test_lines_become_sequences_with_dense_indexes(tmp_path: Path) -> None:
    sequences = read_sequences(written(tmp_path, TEXT + "\n\n"))
    assert sequences.user_ids == ("1", "2", "3")
    assert sorted(sequences.item_ids) == ["10", "20", "30", "40", "50"]
    named = [[sequences.item_ids[item - 1] for item in items] for items in sequences.items]
    assert named == [["10", "20", "30", "40"], ["20", "10", "50"], ["10", "20"]]
    assert sequences.events == 9
    assert sequences.catalogue().item_id(5) == sequences.item_ids[4]


def test_the_numbers_of_items_do_not_tell_where_they_first_appeared(tmp_path: Path) -> None:
    text = "".join(f"{user} {100 * user + place}\n" for user in range(50) for place in range(20))
    numbers = np.concatenate(read_sequences(written(tmp_path, text)).items)
    assert sorted(numbers.tolist()) == list(range(1, 1001))
    # Neighbours in the file would be one apart, and are a third of all on average where nothing orders them.
    assert np.abs(np.diff(numbers)).mean() == pytest.approx(1000 / 3, rel=0.15)


def test_the_last_item_tests_the_one_before_validates_and_short_users_train(tmp_path: Path) -> None:
    names, parts = read_sequences(written(tmp_path)).item_ids, split(tmp_path)

    def named(events: Sequence[ResolvedEvent]) -> list[tuple[str, str]]:
        return [(event.user_id, names[event.item - 1]) for event in events]

    assert named(parts.test.events) == [("1", "40"), ("2", "50")]
    assert named(parts.validation.events) == [("1", "30"), ("2", "10")]
    by_user = defaultdict(list)
    for user, name in named(parts.training):
        by_user[user].append(name)
    assert by_user == {"1": ["10", "20"], "2": ["20"], "3": ["10", "20"]}


def test_users_advance_in_parallel_and_the_seed_orders_equals(tmp_path: Path) -> None:
    text = "".join(f"{user} {item}\n" for user in range(40) for item in range(user % 3 + 5))
    sequences = read_sequences(written(tmp_path, text))
    stream = leave_one_out(sequences, seed=1).training
    lengths = {str(user): user % 3 + 3 for user in range(40)}
    shares = [(int(sequences.item_ids[event.item - 1]) + 1) / lengths[event.user_id] for event in stream]
    assert shares == sorted(shares)
    assert stream == leave_one_out(sequences, seed=1).training
    assert stream != leave_one_out(sequences, seed=2).training


def test_times_and_values_say_nothing(tmp_path: Path) -> None:
    parts = split(tmp_path)
    everything = [*parts.training, *parts.validation.events, *parts.test.events]
    assert len({(event.ts_ms, event.value) for event in everything}) == 1
    assert len({event.event_id for event in everything}) == len(everything)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1 2\n1 2 5\n", r"sequences\.txt, line 2: a user and an item are wanted"),
        ("1\n", r"line 1: .* there are 1 fields"),
        ("\n", "are empty"),
    ],
)
def test_a_broken_file_is_told_in_one_sentence_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        read_sequences(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_sequences(tmp_path / "nothing.txt")


def test_sequences_too_short_to_grade_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No user"):
        leave_one_out(read_sequences(written(tmp_path, "1 2\n1 3\n")))
