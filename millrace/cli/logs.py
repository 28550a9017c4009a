"""Logging of the roles that do not bring their own set-up."""

import logging


def log_to_stderr(level: int = logging.INFO) -> None:
    """Write log lines to stderr; the stack redirects them to HOME/logs/<role>.log."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Each rebalance and each metadata refresh is a dozen lines.
    logging.getLogger("kafka").setLevel(logging.WARNING)
