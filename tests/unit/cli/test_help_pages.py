"""Every command's help has examples, in one style, of commands and options that exist."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from millrace.apps.cli.app import build_app
from millrace.apps.help_text import EXAMPLES, reflowed

# Typer leaves a column free on each side.
WIDTH = 78
ROOT: Any = typer.main.get_command(build_app())


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, below in (getattr(command, "commands", None) or {}).items():
        yield from commands(below, (*path, name))


ALL = {" ".join(path) or "millrace": command for path, command in commands(ROOT)}


def examples(command: Any) -> list[str]:
    found = [part for part in command.help.split("\n\n") if part.startswith(EXAMPLES)]
    return [re.sub(r"\[/?dim\]", "", line) for part in found for line in part.splitlines()[1:]]


@pytest.mark.parametrize("name", ALL)
def test_each_command_shows_how_it_is_called(name: str) -> None:
    lines = examples(ALL[name])
    assert lines
    assert "[bold]" not in ALL[name].help
    assert "Example:" not in ALL[name].help
    for line in lines:
        assert line.startswith("  ")
        assert "millrace " in line
        assert len(line) <= WIDTH


@pytest.mark.parametrize(
    "line", sorted({line.strip().split("  ")[0] for command in ALL.values() for line in examples(command)})
)
def test_examples_name_commands_and_options_that_exist(line: str) -> None:
    words = shlex.split(line)
    words = words[words.index("millrace") + 1 :]
    words = words[: words.index("|")] if "|" in words else words
    command = ROOT
    while words and getattr(command, "commands", None):
        command = command.commands[words.pop(0)]
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    assert {word for word in words if re.match(r"-\w|--\w", word)} <= known


def test_paragraphs_fill_the_terminal_and_examples_keep_their_lines() -> None:
    text = """Do it
    now.

    Two
    lines.

    Examples:
      millrace do
      millrace undo
    """
    assert reflowed(text) == "Do it now.\n\nTwo lines.\n\nExamples:\n  millrace do\n  millrace undo"
