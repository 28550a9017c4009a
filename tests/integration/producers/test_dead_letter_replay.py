from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from millrace.apps.cli.app import build_app
from millrace.kernel.contracts import DeadLetterHeaders
from millrace.kernel.errors import ConfigurationError, PoisonError, Reason
from millrace.kernel.settings import Settings
from millrace.kernel.topic_reader import TopicReader
from millrace.producers import ActivityPublisher
from millrace.producers.dead_letters import corrected, read_dead_letters, replay_dead_letters, select
from millrace.runtime.dead_letters import dead_letter, described
from millrace.runtime.records import SourceRecord

pytestmark = pytest.mark.services

GOOD = {"event_id": "e1", "user_id": "7", "item_id": "1", "type": "rating", "value": 4.0, "ts_ms": 5}


@pytest.fixture
def publisher(settings: Settings) -> Iterator[ActivityPublisher]:
    with ActivityPublisher(settings) as publisher:
        yield publisher


def put(
    publisher: ActivityPublisher, settings: Settings, reason: Reason, value: bytes, at_ms: int = 1, topic: str = ""
) -> str:
    """Dead-letter a record and return its place."""
    headers = DeadLetterHeaders(
        reason=reason,
        error=f"Because of {reason}.",
        topic=topic or settings.topics.events,
        partition=0,
        offset=at_ms,
        failed_at_ms=at_ms,
    )
    where = publisher.publish_raw(b"7", value, topic=settings.topics.dead_letters, headers=headers.to_kafka())
    return f"{where.partition}:{where.offset}"


def events(settings: Settings) -> list[tuple[bytes, bytes]]:
    with TopicReader(settings, settings.topics.events, "earliest") as reader:
        return [(record.key, record.value) for record in reader.read_to_end(20)]


def test_letters_are_read_back_whole_and_oldest_first(settings: Settings, publisher: ActivityPublisher) -> None:
    put(publisher, settings, Reason.WRONG_TYPE, b"second", at_ms=2)
    put(publisher, settings, Reason.INVALID_JSON, b"\xff\x00", at_ms=1)
    publisher.publish_raw(b"x", b"not a dead letter", topic=settings.topics.dead_letters)
    letters = select(read_dead_letters(settings))
    assert [(one.headers.reason, one.key, one.value) for one in letters] == [
        (Reason.INVALID_JSON, b"7", b"\xff\x00"),
        (Reason.WRONG_TYPE, b"7", b"second"),
    ]


def test_letters_are_selected_by_reason_and_place(settings: Settings, publisher: ActivityPublisher) -> None:
    first = put(publisher, settings, Reason.WRONG_TYPE, b"a")
    put(publisher, settings, Reason.INVALID_JSON, b"b")
    letters = list(read_dead_letters(settings))
    assert [one.value for one in select(letters, places=[first])] == [b"a"]
    assert [one.value for one in select(letters, Reason.INVALID_JSON)] == [b"b"]
    with pytest.raises(ConfigurationError, match="no dead letter at 9:9"):
        select(letters, places=["9:9"])


def test_only_what_is_usable_by_now_is_sent(settings: Settings, publisher: ActivityPublisher) -> None:
    wish = orjson.dumps({**GOOD, "type": "wish", "value": None})
    put(publisher, settings, Reason.UNKNOWN_EVENT_TYPE, wish, at_ms=1)
    put(publisher, settings, Reason.INVALID_JSON, b"{", at_ms=2)
    put(publisher, settings, Reason.INVALID_JSON, b"{}", at_ms=3, topic="somebody.elses")
    configured = settings.model_copy(update={"implied_values": {"wish": 4.0}})
    result = replay_dead_letters(publisher, select(read_dead_letters(settings)), configured)
    assert [one.value for one in result.sent] == [wish]
    assert [one.value for one, _ in result.unusable] == [b"{", b"{}"]
    assert "not one of this installation" in result.unusable[1][1]
    assert events(settings) == [(b"7", wish)]


def test_a_corrected_event_gets_its_users_key(settings: Settings, publisher: ActivityPublisher) -> None:
    put(publisher, settings, Reason.KEY_MISMATCH, b"{}")
    (letter,) = read_dead_letters(settings)
    fixed = orjson.dumps({**GOOD, "user_id": "8"})
    replay_dead_letters(publisher, [corrected(letter, fixed, settings)], settings)
    assert events(settings) == [(b"8", fixed)]
    with pytest.raises(PoisonError):
        corrected(letter, b"{", settings)


def test_a_letter_whose_key_was_too_large_is_sent_only_with_a_correction(
    settings: Settings, publisher: ActivityPublisher
) -> None:
    value = orjson.dumps(GOOD)
    record = SourceRecord(settings.topics.events, 0, 0, 0, b"k" * 2000, value)
    made = described(dead_letter(settings.topics.dead_letters, record, PoisonError(Reason.KEY_MISMATCH, "No.")))
    publisher.publish_raw(made.key, made.value, topic=made.topic, headers=made.headers)
    (letter,) = read_dead_letters(settings)
    ((_, sentence),) = replay_dead_letters(publisher, [letter], settings).unusable
    assert "key was too large" in sentence
    assert replay_dead_letters(publisher, [corrected(letter, value, settings)], settings).unusable == ()
    assert events(settings) == [(b"7", value)]


class TestCommands:
    """`millrace dlq` as a person uses it."""

    def test_list_show_and_fix(self, settings: Settings, publisher: ActivityPublisher, tmp_path: Path) -> None:
        place = put(publisher, settings, Reason.VALUE_OUT_OF_RANGE, orjson.dumps({**GOOD, "value": 11}))
        runner, app = CliRunner(), build_app()
        listed = runner.invoke(app, ["dlq", "list"])
        assert place in listed.output
        assert "value_out_of_range" in listed.output
        assert orjson.loads(runner.invoke(app, ["dlq", "list", "--json"]).stdout)["place"] == place
        assert '"value":11' in runner.invoke(app, ["dlq", "show", place]).output

        unfixed = runner.invoke(app, ["dlq", "replay", place, "--yes"])
        assert unfixed.exit_code == 1
        assert "come straight back" in unfixed.output

        good = tmp_path / "fixed.json"
        good.write_bytes(orjson.dumps(GOOD) + b"\n")
        fixed = runner.invoke(app, ["dlq", "replay", place, "--fix", str(good), "--yes"])
        assert fixed.exit_code == 0, fixed.output
        assert "Replayed 1 of 1" in fixed.output
        assert events(settings) == [(b"7", orjson.dumps(GOOD))]

    def test_nothing_to_list(self, settings: Settings) -> None:
        assert "no dead letters" in CliRunner().invoke(build_app(), ["dlq", "list"]).output

    def test_a_refusal_to_confirm_sends_nothing(self, settings: Settings, publisher: ActivityPublisher) -> None:
        put(publisher, settings, Reason.UNKNOWN_ITEM, orjson.dumps(GOOD))
        assert CliRunner().invoke(build_app(), ["dlq", "replay", "--all"], input="n\n").exit_code == 1
        assert events(settings) == []
