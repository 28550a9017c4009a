"""Waits with a deadline on a condition."""

import time
from collections.abc import Callable

from millrace.kernel.errors import TransientError

_POLL_S = 0.05
# Checking servers costs them processor time.
_LOOK_S = 0.1


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float, poll_s: float = _POLL_S) -> None:
    """Poll until the condition holds.

    Raises:
        TransientError: It does not hold by the deadline; the text names the condition.
    """
    end_s = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end_s:
            raise TransientError(f"Timed out after {deadline_s:g} s waiting until {what}.")
        time.sleep(poll_s)


def wait_until_nothing(missing: Callable[[], str], what: str, deadline_s: float) -> str:
    """Poll until nothing is missing.

    Returns:
        What the last poll that found something found.

    Raises:
        TransientError: Something is still missing at the deadline; the text names it.
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
