"""What `millrace load-test` refuses before it starts anything."""

import importlib.util

import pytest
from typer.testing import CliRunner

from millrace.apps.cli.app import build_app
from millrace.kernel.errors import ConfigurationError


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--stack", "mainframe"], "There is no stack mainframe to load; use --stack embedded or --stack local"),
        (["--run-time", "soon"], "'soon' is not a length of time; write for example 90s"),
        (["--think", "2-1"], "The think time '2-1'"),
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
