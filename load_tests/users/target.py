"""What a load test loads: a stack of its own, or what is already running."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console

from millrace.apps.measuring.learned_stack import await_model, await_roles, load_history
from millrace.apps.measuring.screen import Screen
from millrace.apps.measuring.store_view import StoreView
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
        ConfigurationError: The data or the stack's name is unusable, or the settings lead to a running system and
            nobody has said that it may be written to.
        FatalError: A server or role does not start.
    """
    stack = _stack_to_start(options)
    if stack is None:
        # What the running system knows of the data is unknown, so any part of it will do.
        yield load_settings(), replace(options, history=0.0)
        return
    with _own_stack(stack, options, console) as settings:
        yield settings, options


def _stack_to_start(options: LoadOptions) -> str | None:
    """Return the stack to start, None to load a running system.

    Raises:
        ConfigurationError: There is no such stack, or a running system would be written to without leave.
    """
    if options.stack not in (None, EXTERNAL, *STARTABLE):
        raise ConfigurationError(
            f"There is no stack {options.stack} to load; use --stack {' or --stack '.join((*STARTABLE, EXTERNAL))}."
        )
    if options.into_running and options.stack in STARTABLE:
        raise ConfigurationError(
            f"--into-running loads the running system and --stack {options.stack} starts another: leave out one."
        )
    if options.into_running or options.stack == EXTERNAL:
        return None
    if options.stack is not None:
        return options.stack
    settings = load_settings()
    running = _running_system(settings)
    if running is None:
        return settings.stack
    raise ConfigurationError(
        f"A load test writes simulated users and items, and the settings lead to a system that may be in use "
        f"({running}): use --into-running to load it all the same, or --stack embedded to start one for the test."
    )


def _running_system(settings: Settings) -> str | None:
    """Return what leads to a running system, None if nothing does."""
    if "MILLRACE_KAFKA_BOOTSTRAP" in os.environ:
        return f"MILLRACE_KAFKA_BOOTSTRAP={settings.kafka_bootstrap}"
    if (settings.home / STACK_FILE).exists():
        return f"the stack in {settings.home}"
    return None if settings.stack in STARTABLE else f"MILLRACE_STACK={settings.stack}"


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
