"""The command line: `millrace COMMAND`."""

from millrace.cli.app import main

__all__ = ["main"]
