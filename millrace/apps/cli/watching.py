"""Keeps a running stack company until a person ends it."""

import threading
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from millrace.apps.stacks.roles import Roles
    from millrace.apps.stacks.stack import Stack

SUPERVISE_S = 1.0


def watch(console: Console, stack: "Stack", roles: "Roles") -> None:
    """Start again what ends, and say so, until a signal raises KeyboardInterrupt.

    Raises:
        FatalError: A server or role keeps ending.
    """
    never = threading.Event()
    while not never.wait(SUPERVISE_S):
        for sentence in [*stack.supervise(), *roles.supervise()]:
            console.print(sentence, style="yellow", markup=False, soft_wrap=True)
