"""What can be said about stacks and the log's tables without a server."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from millrace.apps.cli.app import build_app
from millrace.kernel.errors import ConfigurationError, FatalError
from millrace.stores.event_log import cassandra_schema

runner = CliRunner()


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))


def test_the_tables_can_be_made_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_EVENT_LOG", "cassandra://db/log?dc=europe")
    monkeypatch.setenv("MILLRACE_CASSANDRA_REPLICATION", '{"europe": 3, "asia": 2}')
    shown = runner.invoke(build_app(), ["log-schema", "--show"]).stdout
    assert shown.startswith(
        "CREATE KEYSPACE IF NOT EXISTS log WITH replication = "
        "{'class': 'NetworkTopologyStrategy', 'europe': 3, 'asia': 2};\n"
    )
    assert re.findall(r"CREATE TABLE IF NOT EXISTS log\.(\w+)", shown) == [
        "schema_versions",
        "events",
        "events_by_user",
        "items",
        "blocks",
        "ends",
        "logs",
        "forgotten",
    ]
    # Without these rows roles would say that there is no event log.
    assert re.findall(r"INSERT INTO log\.schema_versions \(version, applied_at\) VALUES \((\d), ", shown) == ["1", "2"]
    assert shown.rindex("CREATE TABLE") < shown.index("INSERT")


def test_only_what_is_missing_is_shown_where_the_version_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_EVENT_LOG", "cassandra://db/log?dc=europe")

    def shown(version: int) -> str:
        state = cassandra_schema.SchemaState("log", version)
        monkeypatch.setattr(cassandra_schema, "cassandra_schema_state", lambda _: state)
        return runner.invoke(build_app(), ["log-schema", "--show"], catch_exceptions=False).stdout

    assert re.findall(r"log\.(events|forgotten)\b|VALUES \((\d)", shown(1)) == [("forgotten", ""), ("", "2")]
    assert shown(cassandra_schema.SCHEMA_VERSION) == "-- The event log is current: there is nothing to run.\n"
    with pytest.raises(ConfigurationError, match="use the newer Millrace"):
        shown(99)


def test_a_log_in_a_file_needs_no_tables_made(tmp_path: Path) -> None:
    result = runner.invoke(build_app(), ["log-schema"])
    assert result.exit_code == 0
    assert (tmp_path / "events.sqlite").exists()


def test_there_may_be_nothing_to_end(tmp_path: Path) -> None:
    result = runner.invoke(build_app(), ["down"])
    assert (result.exit_code, result.stdout) == (0, f"No stack runs in {tmp_path}.\n")


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["--redis", "cluster"], ConfigurationError, "--stack local --brokers 3 --redis cluster"),
        (["--redis", "sentinel"], ConfigurationError, "There is no Redis sentinel"),
        (["--brokers", "3"], ConfigurationError, "--stack local --brokers 3"),
        (["--kafka-port", "9092"], ConfigurationError, "leave out --kafka-port and --cassandra-port"),
        (["--cassandra-port", "9042"], ConfigurationError, "leave out --kafka-port and --cassandra-port"),
        (
            ["--stack", "local", "--redis", "cluster", "--redis-port", "6379"],
            ConfigurationError,
            "leave out --redis-port",
        ),
        (["--stack", "local", "--brokers", "2"], FatalError, "1 or 3 brokers, not 2"),
    ],
)
def test_what_cannot_be_started_is_one_sentence(arguments: list[str], kind: type[Exception], words: str) -> None:
    result = runner.invoke(build_app(), ["up", *arguments])
    assert isinstance(result.exception, kind)
    assert words in str(result.exception)


def test_jars_are_copied_before_the_stack_leaves_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    monkeypatch.setattr("millrace.apps.stacks.local.LocalStack.fetch", lambda _: done.append("copied"))
    monkeypatch.setattr("millrace.apps.stacks.detached.start_detached", lambda home: done.append(home) or "It runs.")
    result = runner.invoke(build_app(), ["up", "--stack", "local", "--detach"])
    assert result.exit_code == 0, result.output
    assert done == ["copied", tmp_path]
    assert result.stdout.endswith("It runs.\n")
