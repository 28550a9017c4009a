"""`millrace schemas`: writes the pages and schemas that are made from the code."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from millrace.kernel.errors import ConfigurationError

_HELP = """Write or check the generated part of docs/: JSON Schemas of the records, pages of all settings and commands.

Examples:
  millrace schemas --write
  millrace schemas --check  [dim]exit code 1 when something is out of date[/dim]"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("schemas", help=_HELP, rich_help_panel="Development", no_args_is_help=True)(schemas)


def schemas(
    write: Annotated[bool, typer.Option("--write", help="Write the files.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Fail if a file is out of date.")] = False,
    folder: Annotated[Path, typer.Option(help="The documentation folder.")] = Path("docs"),
) -> None:
    """Write or check generated documentation."""
    from millrace.apps.cli.app import build_app
    from millrace.apps.schemas import generated_docs

    if write == check:
        raise ConfigurationError("Give either --write or --check.")
    console = Console(highlight=False)
    files = {folder / name: text for name, text in generated_docs(typer.main.get_command(build_app())).items()}
    if check:
        stale = [str(path) for path, text in files.items() if not path.is_file() or path.read_text() != text]
        if stale:
            raise ConfigurationError(f"Out of date: {', '.join(stale)}; run `millrace schemas --write`.")
        console.print(f"{len(files)} files are current.")
        return
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        console.print(f"Wrote {path}.")
