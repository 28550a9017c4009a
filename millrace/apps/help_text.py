"""One look for all help pages: paragraphs that fill the terminal, then examples, one a line."""

import inspect
import re
from collections.abc import Iterable

import typer

EXAMPLES = "Examples:"


def use_one_style(app: typer.Typer) -> None:
    """Reflow the help text of every command of an app, and of its groups."""
    for command in app.registered_commands:
        command.help = reflowed(command.help or inspect.getdoc(command.callback) or "")
    for group in app.registered_groups:
        if (below := group.typer_instance) is not None:
            below.info.help = reflowed(below.info.help or "")
            use_one_style(below)


def reflowed(text: str) -> str:
    """Return a help text with each paragraph on one line; lines of examples stay as they are.

    The source wraps lines for its readers. A terminal that is narrower would wrap each of them again, in its middle.
    """
    return "\n\n".join(_paragraphs(re.split(r"\n\s*\n", inspect.cleandoc(text))))


def _paragraphs(paragraphs: Iterable[str]) -> Iterable[str]:
    for paragraph in paragraphs:
        yield paragraph if paragraph.startswith(EXAMPLES) else " ".join(paragraph.split())
