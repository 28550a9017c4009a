"""What `millrace load-test` refuses before it starts anything."""

import importlib.util
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from millrace.apps.cli.app import build_app
from millrace.kernel.errors import ConfigurationError
from millrace.load_tests.users.options import LoadOptions
from millrace.load_tests.users.target import target


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--stack", "mainframe"], "There is no stack mainframe to load; use --stack embedded or --stack local"),
        (["--run-time", "soon"], "'soon' is not a length of time; write for example 90s"),
        (["--think", "2-1"], "The think time '2-1'"),
        (["--into-running", "--stack", "local"], "leave out one."),
    ],
)
def test_what_makes_no_sense_is_one_sentence(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(build_app(), ["load-test", *arguments])
    assert isinstance(result.exception, ConfigurationError)
    assert words in str(result.exception)


def test_without_locust_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "locust" else found(name))
    result = CliRunner().invoke(build_app(), ["load-test"])
    assert isinstance(result.exception, ModuleNotFoundError)
    assert result.exception.name == "locust"


@pytest.fixture
def empty_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for variable in ("MILLRACE_KAFKA_BOOTSTRAP", "MILLRACE_STACK"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("variable", "value"), [("MILLRACE_KAFKA_BOOTSTRAP", "kafka.shop:9092"), ("MILLRACE_STACK", "external")]
)
def test_a_running_system_is_not_written_to_without_leave(
    monkeypatch: pytest.MonkeyPatch, empty_home: Path, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    result = CliRunner().invoke(build_app(), ["load-test"])
    assert isinstance(result.exception, ConfigurationError)
    assert f"({variable}={value}): use --into-running" in str(result.exception)


def test_a_stack_in_the_home_folder_is_not_written_to_without_leave(empty_home: Path) -> None:
    (empty_home / "stack.json").write_text('{"stack": "embedded", "kafka_bootstrap": "127.0.0.1:1"}')
    result = CliRunner().invoke(build_app(), ["load-test"])
    assert isinstance(result.exception, ConfigurationError)
    assert f"(the stack in {empty_home}): use --into-running" in str(result.exception)


def test_a_running_system_is_loaded_with_leave(monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> None:
    monkeypatch.setenv("MILLRACE_KAFKA_BOOTSTRAP", "kafka.shop:9092")
    with target(LoadOptions(into_running=True), Console()) as (settings, options):
        assert settings.kafka_bootstrap == "kafka.shop:9092"
        assert options.history == 0.0
