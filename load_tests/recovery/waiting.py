"""Waits with a deadline on a condition."""

import time
from collections.abc import Callable

from millrace.kernel.errors import TransientError

_POLL_S = 0.05
# A look at servers costs them something.
_LOOK_S = 0.1


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


def wait_until_nothing(missing: Callable[[], str], what: str, deadline_s: float) -> str:
    """Look again and again until nothing is missing.

    Returns:
        What was missing at the last look that found something.

    Raises:
        TransientError: Something still is at the deadline; the text names it.
    """
    last = now = ""

    def complete() -> bool:
        nonlocal last, now
        now = missing()
        last = now or last
        return not now

    try:
        wait_until(complete, what, deadline_s, _LOOK_S)
    except TransientError as error:
        raise TransientError(f"{error} ({now})") from None
    return last
