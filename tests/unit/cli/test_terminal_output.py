"""What records and people say is printed as it is, and where figures go is looked at before the work."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from millrace.apps.cli import dlq
from millrace.apps.cli.app import build_app
from millrace.apps.cli.options import check_writable
from millrace.kernel.contracts import ActivityEvent, DeadLetterHeaders
from millrace.kernel.errors import ConfigurationError, Reason
from millrace.producers.dead_letters import DeadLetter
from millrace.producers.publisher import Delivered

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
    assert "1 of 1 dead letters." in result.stdout


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
