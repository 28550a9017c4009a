"""The command line: `millrace COMMAND`."""

from millrace.apps.cli.app import main

__all__ = ["main"]
