"""`millrace down`: ends the stack of the home folder."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(down)


def down(
    home: Annotated[Path | None, typer.Option(help="Folder of the stack; default: MILLRACE_HOME.")] = None,
) -> None:
    """Stop the stack that `millrace up` started in the home folder, with every role; its data stays.

    Examples:
      millrace down
    """
    from rich.console import Console

    from millrace.apps.stacks.detached import stop_running
    from millrace.kernel.settings import load_settings

    folder = home or load_settings().home
    ended = stop_running(folder)
    sentence = "Stopped; no process is left." if ended else f"No stack runs in {folder}."
    Console().print(sentence, markup=False, highlight=False, soft_wrap=True)
