"""What records and people say is printed as it is, and where figures go is looked at before the work."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console, RenderableType
from typer.testing import CliRunner, Result

from millrace.apps.cli import dlq, recommend, subscribe_screen
from millrace.apps.cli.app import build_app
from millrace.apps.cli.options import check_writable
from millrace.apps.cli.titles import OptionalTitles
from millrace.apps.profile import GenreTaste, HistoryEntry, ListEntry, ShownList, UserProfile
from millrace.consumers.subscriber import Received
from millrace.kernel.contracts import (
    ActivityEvent,
    DeadLetterHeaders,
    ReasonCode,
    Recommendation,
    RecommendationReason,
    RecommendedItem,
)
from millrace.kernel.errors import ConfigurationError, Reason
from millrace.producers.dead_letters import DeadLetter
from millrace.producers.delivery import Delivered

# Read as markup, it closes what nobody has opened.
MARKUP = "[/x]"


def call(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(build_app(), arguments)


def test_dead_letters_are_listed_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = DeadLetterHeaders(
        reason=Reason.INVALID_ID, error=f"user_id {MARKUP} [bold]is none[/bold].", topic="t", partition=0, offset=1
    )
    letter = DeadLetter(0, 12, None, b"{}", headers)
    monkeypatch.setattr(dlq, "_select", lambda *_: [letter])
    result = call("dlq", "list")
    assert result.exit_code == 0, result.exception
    assert headers.error in result.stdout
    assert "1 of 1 dead letter." in result.stdout


# Clears the screen, and colours what follows.
ESCAPES = "a\x1b[2J\x1b[31mb\u202ec"


def letter_of(text: str) -> DeadLetter:
    headers = DeadLetterHeaders(reason=Reason.INVALID_ID, error=text, topic="t", partition=0, offset=1)
    return DeadLetter(0, 12, text.encode(), text.encode(), headers)


def screen(renderable: RenderableType) -> str:
    console = Console(width=80, file=io.StringIO(), force_terminal=False)
    console.print(renderable)
    return console.file.getvalue()


def subscribed(user: str = ESCAPES, title: str = ESCAPES) -> str:
    item = RecommendedItem(
        item_id="i",
        rank=1,
        score=1.0,
        predicted_rating=4.2,
        reason=RecommendationReason(code=ReasonCode.BECAUSE_YOU_RATED, item_id="i"),
    )
    recommendation = Recommendation(
        recommendation_id="r",
        user_id=user,
        event_id=user,
        source_partition=0,
        source_offset=0,
        event_ts_ms=1,
        received_ts_ms=1,
        generated_ts_ms=1,
        model_version="v000001",
        arm="champion",
        items=[item],
    )
    titles = OptionalTitles(SimpleNamespace(title=lambda _: title), print)  # type: ignore[arg-type]
    return screen(subscribe_screen.render(Received(recommendation, 2, 0, 0), titles, 10))


def recommended(user: str = ESCAPES, title: str = ESCAPES) -> str:
    entry = ListEntry(
        rank=1, item_id="i", title=title, predicted_rating=4.2, reason="because_you_rated", because_title=title
    )
    shown = ShownList(
        recommendation_id="r", model_version="v1", arm="champion", fallback=None, generated_ts_ms=1, items=[entry]
    )
    profile = UserProfile(
        user_id=user,
        events=1,
        items_touched=1,
        mean_value=4.0,
        last_ts_ms=1,
        genres=[GenreTaste(genre=ESCAPES, share=1.0, mean_value=4.0)],
        history=[HistoryEntry(item_id="i", title=title, value=4.0, ts_ms=1)],
        for_new_users=False,
        shown=shown,
    )
    return screen(recommend.render(profile))


@pytest.mark.parametrize("made", [subscribed, recommended])
def test_control_characters_do_not_reach_the_terminal(made: Callable[[], str]) -> None:
    text = made()
    assert "\\x1b" in text
    assert not {"\x1b", "\u202e"} & set(text)
    assert max(len(line) for line in text.splitlines()) <= 80


# As long as the longest titles of films and ids of apps.
LONG_USER = "3f8b2c1e-9d4a-4e57-a0b1-7c2d5e6f8a90"
LONG_TITLE = "Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb (1964)"


@pytest.mark.parametrize(
    ("made", "whole", "row"),
    [
        (subscribed, "user 3f8b2c1e…e6f8a90", r"^1  Dr\. Strangelove.*…  ★★★★☆ 4\.2  1\.000  because of Dr\. S.*…$"),
        (recommended, "User 3f8b2c1e…e6f8a90", r"^1\.  Dr\. Strangelove.*…  4\.2 ★  because of Dr\. S.*…$"),
        (recommended, "mean 4.00, last 1970-01-01", r"^★★★★ +Dr\. Strangelove.*…  1970-01-01$"),
    ],
)
def test_long_titles_leave_the_figures_whole_in_80_columns(made: Callable[..., str], whole: str, row: str) -> None:
    lines = [line.rstrip() for line in made(LONG_USER, LONG_TITLE).splitlines()]
    assert max(map(len, lines)) <= 80
    assert any(whole in line for line in lines)
    assert [line for line in lines if re.match(row, line)], lines


def test_a_narrow_terminal_has_errors_below_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    error = f"The user_id {LONG_USER * 3} is longer than 100 characters."
    monkeypatch.setattr(dlq, "_select", lambda *_: [letter_of(error)])
    narrow, wide = (
        CliRunner(env={"COLUMNS": columns}).invoke(build_app(), ["dlq", "list"]).stdout.splitlines()
        for columns in ("80", "200")
    )
    assert re.match(r"0:12  \S+ \S+  invalid_id$", narrow[0])
    assert narrow[1].startswith("  The user_id")
    assert max(map(len, narrow)) <= 80
    assert re.match(r"0:12 +\S+ \S+  invalid_id  The user_id", wide[1])


@pytest.mark.parametrize("arguments", [("list",), ("show", "0:12")])
def test_control_characters_of_dead_letters_are_escaped(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setattr(dlq, "_select", lambda *_: [letter_of(ESCAPES)])
    result = call("dlq", *arguments)
    assert result.exit_code == 0, result.exception
    assert "\\x1b[31mb" in result.stdout
    assert not {"\x1b", "\u202e"} & set(result.stdout)


def test_what_was_sent_is_named_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Publisher:
        def __init__(self, settings: object) -> None:
            """Connect to nothing."""

        def __enter__(self) -> "Publisher":
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing to close."""

        def publish(self, event: ActivityEvent) -> Delivered:
            return Delivered("events", 1, 7)

    monkeypatch.setattr("millrace.producers.ActivityPublisher", Publisher)
    result = call("publish", "--user", MARKUP, "--item", "[red]", "--value", "4")
    assert result.exit_code == 0, result.exception
    assert f"Sent rating of item [red] by user {MARKUP}: events, partition 1, offset 7." in result.stderr


@pytest.mark.parametrize(
    ("command", "work"),
    [("demo", "millrace.apps.demo.run.Demo.run"), ("bench", "millrace.load_tests.bench.run.Bench.run")],
)
def test_a_report_without_a_folder_is_refused_before_the_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, work: str
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(work, lambda *_: begun.append(command) or SimpleNamespace(problems=[]))
    result = call(command, "--report", str(tmp_path / "missing" / "report.json"))
    assert isinstance(result.exception, ConfigurationError)
    assert "does not exist; create it" in str(result.exception)
    assert begun == []


def test_only_what_can_be_written_passes(tmp_path: Path) -> None:
    check_writable(None, tmp_path / "report.json")
    check_writable(tmp_path / "home" / "report.json", made=tmp_path / "home" / "demo")
    with pytest.raises(ConfigurationError, match="is a folder; give the name of a file"):
        check_writable(tmp_path)
    with pytest.raises(ConfigurationError, match="does not exist"):
        check_writable(tmp_path / "home" / "report.json", made=tmp_path / "other")
