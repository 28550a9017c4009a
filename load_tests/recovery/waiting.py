"""Waits with a deadline on a condition."""

import time
from collections.abc import Callable

from millrace.errors import TransientError

_POLL_S = 0.05


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float, poll_s: float = _POLL_S) -> None:
    """Look again and again until the condition holds.

    Raises:
        TransientError: It does not within the deadline; the text says what was waited for.
    """
    end_s = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end_s:
            raise TransientError(f"Not within {deadline_s:g} s: {what}.")
        time.sleep(poll_s)
