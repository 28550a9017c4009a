"""Logging of the roles that do not bring their own set-up."""

import logging


def log_to_stderr(level: int = logging.INFO) -> None:
    """Write log lines to stderr; the stack redirects them to HOME/logs/<role>.log."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Each rebalance and each metadata refresh is a dozen lines.
    logging.getLogger("kafka").setLevel(logging.WARNING)
    # kafka-python tries newer formats first and logs an older broker's answer as an error, at every start and stop.
    # Real failures reach the callers as exceptions.
    for name in ("kafka.protocol.parser", "kafka.conn", "kafka.coordinator"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
