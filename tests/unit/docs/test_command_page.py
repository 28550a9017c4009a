from typing import Annotated, Any

import pytest
import typer

from millrace.apps.cli.app import build_app
from millrace.apps.command_page import command_page

_HELP = """Count things.

Prose with [bold]bold[/bold] words.

Examples:
  shop count --top 3    [dim]the three most frequent[/dim]
  cat things | shop count -"""


def count(
    things: Annotated[list[str], typer.Argument(metavar="THING...", help="What to count.")],
    top: Annotated[int, typer.Option("--top", "-n", min=1, help="How many|at most.")] = 10,
    loud: Annotated[bool, typer.Option("--loud", help="Say so.")] = False,
) -> None:
    """Count."""


def page() -> str:
    app = typer.Typer(rich_markup_mode="rich")
    app.callback()(lambda: None)
    app.command("count", help=_HELP.replace("shop", "millrace"))(count)
    return command_page(typer.main.get_command(app))


@pytest.mark.parametrize(
    "line",
    [
        "| Commands | [count](#millrace-count) |",
        "## millrace count",
        "Prose with bold words.",
        "millrace count --top 3    # the three most frequent",
        "cat things | millrace count -",
        "| `THING ...` | What to count. |",
        "| `--top`, `-n` | number | `10` | How many\\|at most. |",
        "| `--loud` |  |  | Say so. |",
    ],
)
def test_help_and_options_are_written_as_markdown(line: str) -> None:
    assert line in page().splitlines()


def test_every_command_has_a_section() -> None:
    def paths(command: Any, path: str) -> list[str]:
        below = getattr(command, "commands", None) or {}
        return [name for each in below for name in (f"{path} {each}", *paths(below[each], f"{path} {each}"))]

    root = typer.main.get_command(build_app())
    headings = [line.lstrip("# ") for line in command_page(root).splitlines() if line.startswith("##")]
    assert headings == paths(root, "millrace")
