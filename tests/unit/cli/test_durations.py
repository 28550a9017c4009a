"""A length of time is written the same way for every command that takes one."""

import pytest
from typer.testing import CliRunner

from millrace.apps.cli.app import build_app
from millrace.kernel.durations import seconds_of
from millrace.kernel.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90.0), (" 30m ", 1800.0), ("1.5h", 5400.0), ("1d", 86_400.0), ("0.5s", 0.5)]
)
def test_times_have_units(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "m", "-1m", "0s", "ten minutes", "inf h", "infh", "nanm", "1e3s", f"{10**400}s"]
)
def test_a_time_without_sense_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="90s, 10m or 2h"):
        seconds_of(text)


@pytest.mark.parametrize(
    "arguments", [["tune", "data", "--budget", "30"], ["load-test", "--run-time", "30"], ["retrainer", "--every", "30"]]
)
def test_every_command_reads_it_so(arguments: list[str]) -> None:
    result = CliRunner().invoke(build_app(), arguments)
    assert isinstance(result.exception, ConfigurationError)
    assert str(result.exception) == "'30' is not a length of time; write for example 90s, 10m or 2h."
