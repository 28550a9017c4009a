"""Small things that several commands share."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals, signal
from threading import Event
from typing import Any

import orjson

from millrace.kernel.errors import ConfigurationError

PANEL_APP = "Your application's side"


def checked_id(value: str, what: str) -> str:
    """Return an id given on the command line.

    Raises:
        ConfigurationError: It is blank: a shell variable that was never set becomes an empty argument.
    """
    if not value.strip():
        raise ConfigurationError(f"The id of the {what} is empty; give the id that your app uses.")
    return value


def quiet_kafka() -> None:
    """Keep the Kafka client's own messages off the terminal: what matters arrives as an exception."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)


def check_writable(*paths: Path | None, made: Path | None = None) -> None:
    """Refuse before the work what could not be written after it.

    Args:
        paths: Files that a person wants written; None for those nobody asked for.
        made: A folder that the work makes, with those above it.

    Raises:
        ConfigurationError: A file's folder does not exist, or it is a folder itself.
    """
    to_come = (made.resolve(), *made.resolve().parents) if made is not None else ()
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise ConfigurationError(f"{path} is a folder; give the name of a file.")
        folder = path.resolve().parent
        if not folder.is_dir() and folder not in to_come:
            raise ConfigurationError(f"The folder of {path} does not exist; create it or choose another file.")


def write_report(path: Path | None, report: dict[str, Any]) -> None:
    """Write a JSON report if a path was given.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    if path is not None:
        write_text(path, orjson.dumps(report, option=orjson.OPT_INDENT_2).decode() + "\n")


def write_text(path: Path, text: str) -> None:
    """Write what a command was asked to write.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"The report {path} cannot be written: {error.strerror}.") from None


@contextmanager
def stop_on_signals() -> Iterator[Event]:
    """Yield an event that Ctrl-C and SIGTERM set, so that a loop can end cleanly; a second Ctrl-C ends at once."""
    stop = Event()

    def handle(number: int, _frame: object) -> None:
        if stop.is_set() and number == SIGINT:
            raise KeyboardInterrupt
        stop.set()

    previous: dict[Signals, Callable[..., Any] | int | None] = {one: signal(one, handle) for one in (SIGINT, SIGTERM)}
    try:
        yield stop
    finally:
        for one, handler in previous.items():
            signal(one, handler)
