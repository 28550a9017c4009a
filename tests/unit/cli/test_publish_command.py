"""`millrace publish FILE`: which lines are sent, and what is said of those that cannot be."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from millrace.apps.cli.app import build_app
from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.errors import ConfigurationError
from millrace.producers import Delivered

GOOD = '{"user_id": "u", "item_id": "i%d", "type": "view"}'


class Publisher:
    """Takes events in place of a broker."""

    sent: list[str]

    def __init__(self, settings: object) -> None:
        Publisher.sent = []

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def publish_many(self, events: list[ActivityEvent]) -> list[Delivered]:
        Publisher.sent += [event.item_id for event in events]
        return [Delivered("events", 0, number) for number, _ in enumerate(events)]


@pytest.fixture(autouse=True)
def publisher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("millrace.producers.ActivityPublisher", Publisher)


def publish(file: Path, text: str) -> Result:
    file.write_text(text)
    return CliRunner().invoke(build_app(), ["publish", str(file)])


def test_every_line_of_a_file_is_sent_and_blank_ones_are_skipped(tmp_path: Path) -> None:
    lines = [GOOD % number for number in range(1_200)]
    result = publish(tmp_path / "events.jsonl", "\n\n".join(lines) + "\n")
    assert result.exit_code == 0, result.exception
    assert result.stderr == "Sent 1,200 events.\n"
    assert Publisher.sent == [f"i{number}" for number in range(1_200)]


def test_one_event_is_not_one_events(tmp_path: Path) -> None:
    assert publish(tmp_path / "events.jsonl", GOOD % 1).stderr == "Sent 1 event.\n"


BROKEN = [
    "{",
    "[1]",
    '{"user_id": "u"}',
    '{"user_id": "u", "item_id": "i", "type": "rating"}',
    '{"user_id": "u", "item_id": "i", "type": "unheard-of"}',
]


@pytest.mark.parametrize("broken", BROKEN)
def test_an_unusable_line_is_named_and_what_came_before_it_is_sent(tmp_path: Path, broken: str) -> None:
    result = publish(tmp_path / "events.jsonl", "\n".join([GOOD % 1, "", GOOD % 2, broken, GOOD % 3]))
    assert isinstance(result.exception, ConfigurationError)
    assert str(result.exception).startswith("Line 4")
    assert str(result.exception).endswith("The 2 events before it were sent.")
    assert Publisher.sent == ["i1", "i2"]


@pytest.mark.parametrize(("text", "sentence"), [("", "Nothing was sent: the input"), ("{", "Nothing was sent.")])
def test_nothing_sent_is_said(tmp_path: Path, text: str, sentence: str) -> None:
    result = publish(tmp_path / "events.jsonl", text)
    assert isinstance(result.exception, ConfigurationError)
    assert sentence in str(result.exception)
