"""The command line: `millrace COMMAND`."""

from millrace.runtime import interrupts


def main() -> None:
    """Run the command line; Ctrl-C while its modules load ends it without a traceback."""
    interrupts.end_at_once()
    from millrace.apps.cli import app

    app.main()
