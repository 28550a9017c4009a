"""What a load test loads: a stack of its own, or what is already running."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console

from millrace.apps.demo.bootstrap import await_model, await_roles, load_history
from millrace.apps.demo.screen import Screen
from millrace.apps.demo.view import StoreView
from millrace.apps.stacks.choosing import STARTABLE, StackOptions, make_stack, measuring_home
from millrace.apps.stacks.roles import Roles, default_roles
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import STACK_FILE, Settings, load_settings
from millrace.load_tests.users.options import LoadOptions
from millrace.producers.movielens import load_movielens

EXTERNAL = "external"


@contextmanager
def target(options: LoadOptions, console: Console) -> Iterator[tuple[Settings, LoadOptions]]:
    """Yield the settings of a system that answers events, and the options that fit it; ends what it started.

    Raises:
        ConfigurationError: The data or the stack's name is unusable.
        FatalError: A server or role does not start.
    """
    if options.stack not in (None, EXTERNAL, *STARTABLE):
        raise ConfigurationError(
            f"There is no stack {options.stack} to load; use --stack {' or --stack '.join((*STARTABLE, EXTERNAL))}."
        )
    stack = options.stack or _stack_to_start()
    if stack is None or stack == EXTERNAL:
        # What the running system knows of the data is unknown, so any part of it will do.
        yield load_settings(), replace(options, history=0.0)
        return
    with _own_stack(stack, options, console) as settings:
        yield settings, options


def _stack_to_start() -> str | None:
    """Return the stack to start, None where addresses lead to a running system."""
    settings = load_settings()
    addressed = "MILLRACE_KAFKA_BOOTSTRAP" in os.environ or (settings.home / STACK_FILE).exists()
    return None if addressed or settings.stack not in STARTABLE else settings.stack


@contextmanager
def _own_stack(name: str, options: LoadOptions, console: Console) -> Iterator[Settings]:
    data = load_movielens(options.data)
    with make_stack(name, options.home or measuring_home("load", name), StackOptions(fresh=True)) as stack:
        with Screen(console) as screen:
            with screen.phase(f"Learning the past: oldest {options.history:.0%}") as bar:
                load_history(data, options.history, stack.settings, bar.advance)
            # One model: what is loaded is the serving of lists, not the training on the same cores.
            roles = Roles(stack, default_roles(retrain_every_events=None))
            roles.start()
            with screen.phase("Training the first model") as bar, StoreView(stack.settings) as view:
                await_model(roles, view, bar.advance)
                await_roles(roles, view)
        yield stack.settings
