"""`millrace up`: the servers and all roles, until Ctrl-C."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from millrace.apps.cli.supervision import supervise
from millrace.apps.stacks.roles import DEFAULT_RETRAIN_EVENTS, Roles, default_roles
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import DEFAULT_HOME, load_settings

if TYPE_CHECKING:
    from millrace.apps.stacks.stack import Stack

_NEXT = """[bold]In another terminal[/bold]
  millrace replay data/ml-latest-small --rate 200    [dim]ratings as they came[/dim]
  millrace subscribe                                 [dim]the lists they cause[/dim]
  millrace publish --user 7 --item 318 --value 4.5   [dim]one rating of your own[/dim]
  millrace recommend 7                               [dim]what it did to user 7[/dim]
  millrace status                                    [dim]lag, rates, model versions[/dim]"""


_PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}
# Servers shown under the name of their part in the system.
_CALLED = {"cassandra": "event log"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(up)


def up(
    stack: Annotated[
        str | None, typer.Option(help="Which servers to start: embedded or local; default: MILLRACE_STACK.")
    ] = None,
    home: Annotated[Path | None, typer.Option(help="Folder for logs and data; default: MILLRACE_HOME.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete what an earlier run left.")] = False,
    brokers: Annotated[int, typer.Option(help="Kafka brokers of the local stack: 1, or 3 that replicate.")] = 1,
    redis: Annotated[str, typer.Option(help="Redis of the local stack: single, or cluster (six nodes).")] = "single",
    servers_only: Annotated[bool, typer.Option("--servers-only", help="Start no worker and no other role.")] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once everything runs; `millrace down` ends it.")
    ] = False,
    retrain_every_events: Annotated[
        int, typer.Option(min=1, help="Train a new version after so many events.")
    ] = DEFAULT_RETRAIN_EVENTS,
    kafka_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the local stack's first broker.")] = 0,
    cassandra_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the local stack's Cassandra.")] = 0,
    redis_port: Annotated[int, typer.Option(min=0, max=65535, help="Port for Redis; 0: any free one.")] = 0,
    triton_port: Annotated[int, typer.Option(min=0, max=65535, help="Port for Triton's gRPC; 0: any free one.")] = 0,
) -> None:
    """Start Kafka, Redis, Triton and every role on this machine, and run until Ctrl-C.

    The embedded stack keeps no data. The local one runs real Kafka and Cassandra (Java 17) and keeps its data. Commands
    with the same home folder get its addresses and settings. With MILLRACE_HEALTH_PORT each role takes the next port.

    Examples:
      millrace up --fresh
      millrace up --stack local --brokers 3 --detach
    """
    from millrace.apps.stacks.choosing import StackOptions, make_stack
    from millrace.apps.stacks.detached import start_detached
    from millrace.apps.stacks.ports import FixedPorts
    from millrace.runtime.interrupts import ended_by_signals

    _check_redis(redis)
    console = Console()
    settings = load_settings()
    folder = home or settings.home
    ports = FixedPorts(redis=redis_port, triton_grpc=triton_port, kafka=kafka_port, cassandra=cassandra_port)
    chosen = make_stack(stack or settings.stack, folder, StackOptions(ports, fresh, brokers, redis == "cluster"))
    if detach:
        with ended_by_signals():
            # Before the deadline of the start begins: it may take minutes.
            with console.status("Downloading the servers, unless they are here ..."):
                chosen.fetch()
            console.print(start_detached(folder), markup=False)
        return
    try:
        with ended_by_signals(), chosen as running:
            commands = {} if servers_only else default_roles(retrain_every_events)
            roles = Roles(running, commands, first_health_port=settings.health_port)
            roles.start()
            _introduce(console, running, roles)
            supervise(console, running, roles)
    except KeyboardInterrupt:
        console.print("Stopped; no process is left.")


def _check_redis(redis: str) -> None:
    """Refuse an unknown choice.

    Raises:
        ConfigurationError: There is no such Redis.
    """
    if redis not in {"single", "cluster"}:
        raise ConfigurationError(f"There is no Redis {redis} to start here; use --redis single or --redis cluster.")


def _introduce(console: Console, stack: "Stack", roles: Roles) -> None:
    settings = stack.settings
    table = Table("component", box=None, header_style="bold")
    # Addresses and paths are copied by hand: folded, not shortened.
    for column in ("address", "process", "log"):
        table.add_column(column, overflow="fold")
    addresses = {
        "kafka": settings.kafka_bootstrap,
        "redis": settings.redis_url,
        "triton": settings.triton_url,
        "event log": settings.event_log_url,
    }
    children = {_CALLED.get(child.name, child.name): child for child in stack.children}
    for name in dict.fromkeys([*addresses, *children]):
        child = children.get(name)
        log = str(child.log_path) if child else ""
        table.add_row(name, addresses.get(name, ""), str(child.pid) if child else "in process", escape(log))
    console.print(table)
    console.print(f"The servers were ready after {stack.started_in_s:.1f} s.", highlight=False)
    if pages := [f"{name} {port}" for name, port in roles.health_ports.items() if port]:
        console.print(f"Health pages: http://{settings.health_host}:PORT/health, ports: {', '.join(pages)}.", **_PLAIN)
    for note in stack.notes:
        console.print(note, style="yellow", markup=False)
    if settings.home != DEFAULT_HOME.absolute():
        console.print(f"Other terminals find all this after: export MILLRACE_HOME={settings.home}", markup=False)
    console.print(_NEXT)
    console.print("Ctrl-C ends everything.")
