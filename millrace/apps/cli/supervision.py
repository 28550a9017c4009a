"""Supervises a running stack until Ctrl-C."""

import threading
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from millrace.apps.stacks.roles import Roles
    from millrace.apps.stacks.stack import Stack

_POLL_S = 1.0


def supervise(console: Console, stack: "Stack", roles: "Roles") -> None:
    """Restart servers and roles that end, and say so, until a signal raises KeyboardInterrupt.

    Raises:
        FatalError: A server or role keeps ending.
    """
    never = threading.Event()
    while not never.wait(_POLL_S):
        for sentence in [*stack.supervise(), *roles.supervise()]:
            console.print(sentence, style="yellow", markup=False, soft_wrap=True)
