"""Makes a stack from its name and options."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from millrace.apps.stacks.ports import FixedPorts
from millrace.apps.stacks.stack import Stack
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import DEFAULT_HOME

# Stacks that start on this machine.
STARTABLE = ("embedded", "local")


@dataclass(frozen=True, slots=True)
class StackOptions:
    """Options of a stack.

    Args:
        ports: Ports to use instead of free ones.
        fresh: Delete what an earlier run left.
        brokers: Kafka brokers; the embedded stack has one.
        redis_cluster: Six Redis nodes instead of one server; local stack only.
        overrides: Settings fields to give every role.
    """

    ports: FixedPorts = field(default_factory=FixedPorts)
    fresh: bool = False
    brokers: int = 1
    redis_cluster: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)


def make_stack(name: str, home: Path, options: StackOptions | None = None) -> Stack:
    """Return a stack that has not been started.

    Args:
        name: `embedded` or `local`.
        home: Its folder.
        options: Options; default: those of `StackOptions`.

    Raises:
        ConfigurationError: There is no such stack to start, or it cannot have these options.
    """
    chosen = options or StackOptions()
    if name == "local":
        _check_local(chosen)
        from millrace.apps.stacks.local import LocalStack

        return LocalStack(
            home,
            ports=chosen.ports,
            brokers=chosen.brokers,
            redis_cluster=chosen.redis_cluster,
            fresh=chosen.fresh,
            overrides=chosen.overrides,
        )
    if name != "embedded":
        raise ConfigurationError(
            f"There is no stack {name} to start here; use --stack {' or --stack '.join(STARTABLE)}."
        )
    _check_embedded(chosen)
    from millrace.apps.stacks.embedded import EmbeddedStack

    return EmbeddedStack(home, ports=chosen.ports, fresh=chosen.fresh, overrides=chosen.overrides)


def _check_local(options: StackOptions) -> None:
    if options.redis_cluster and options.ports.redis:
        raise ConfigurationError(
            "The nodes of a Redis Cluster take free ports and keep them: leave out --redis-port, or use --redis single."
        )


def _check_embedded(options: StackOptions) -> None:
    if options.brokers != 1 or options.redis_cluster:
        raise ConfigurationError(
            "The embedded stack has one broker and one Redis; for more use --stack local --brokers 3 --redis cluster."
        )
    if options.ports.kafka or options.ports.cassandra:
        raise ConfigurationError(
            "The embedded stack has no Cassandra, and its Kafka takes any free port: leave out --kafka-port and "
            "--cassandra-port, or use --stack local."
        )


def measuring_home(command: str, stack: str) -> Path:
    """Return the home folder of a measurement that starts from nothing; each stack has its own."""
    return DEFAULT_HOME / (command if stack == "embedded" else f"{command}-{stack}")
