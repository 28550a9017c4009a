"""`millrace load-test`."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

_PAGE = Path(".millrace/load-test.html")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("load-test")(load_test)


def load_test(
    users: Annotated[int, typer.Option(min=1, help="Simulated users.")] = 20,
    run_time: Annotated[str, typer.Option(help="How long they are active: 90s, 10m, 2h.")] = "60s",
    spawn_rate: Annotated[
        float | None, typer.Option(min=0.1, help="Users that start per second; default: all within 5 s.")
    ] = None,
    think: Annotated[str, typer.Option(help="How long a user looks at a list, seconds: 1 or 0.5-1.5.")] = "0.5-1.5",
    deadline: Annotated[
        float, typer.Option(min=0.1, help="An event without a list for so many seconds is a failure.")
    ] = 10.0,
    stack: Annotated[
        str | None,
        typer.Option(help="Start this stack for the test: embedded or local; external: what the settings lead to."),
    ] = None,
    into_running: Annotated[
        bool, typer.Option("--into-running", help="Write simulated users and items into the running system.")
    ] = False,
    data: Annotated[Path, typer.Option(help="MovieLens folder with users and items.")] = Path("data/ml-latest-small"),
    history: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Part of the data that a stack started here knows beforehand.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Seed of the users' behaviour; the same seed, the same behaviour.")] = 0,
    web: Annotated[bool, typer.Option("--web", help="Serve Locust's web page; users are started there.")] = False,
    web_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the web page.")] = 8089,
    page: Annotated[Path, typer.Option(help="Write Locust's HTML report to this file.")] = _PAGE,
    report: Annotated[Path | None, typer.Option(help="Write the figures to this file as JSON.")] = None,
    home: Annotated[
        Path | None, typer.Option(help="Folder of a stack started here, emptied first; default: .millrace/load.")
    ] = None,
) -> None:
    """Let simulated users publish, wait for their lists, think, and publish again; measure each wait.

    Starts a stack of its own, MILLRACE_STACK unless --stack names one, and ends it afterwards. If a system is running
    (MILLRACE_KAFKA_BOOTSTRAP, or a stack in MILLRACE_HOME), the test refuses to write into it without --into-running.
    Exit code 1 if an event was not confirmed or had no list before the deadline.

    Examples:
      millrace load-test --users 50 --run-time 60s
      millrace load-test --stack local --report load.json
      millrace load-test --into-running --users 50
      millrace load-test --web
    """
    if importlib.util.find_spec("locust") is None:
        # Said now, not after minutes of starting servers.
        raise ModuleNotFoundError("locust", name="locust")
    from rich.console import Console

    from millrace.apps.cli.options import check_writable, write_text
    from millrace.apps.stacks.choosing import STARTABLE, measuring_home
    from millrace.kernel.durations import seconds_of
    from millrace.load_tests.users.options import LoadOptions, parse_range_s
    from millrace.load_tests.users.run import run_load
    from millrace.load_tests.users.summary import print_summary
    from millrace.load_tests.users.target import target
    from millrace.runtime.interrupts import ended_by_signals

    console = Console()
    options = LoadOptions(
        users=users,
        spawn_rate=spawn_rate,
        run_time_s=seconds_of(run_time),
        think_s=parse_range_s(think),
        deadline_s=deadline,
        data=data,
        history=history,
        seed=seed,
        stack=stack,
        into_running=into_running,
        home=home,
        web_port=web_port if web else None,
        page=page,
    )
    check_writable(report, made=home or measuring_home("load", stack or STARTABLE[0]))
    with ended_by_signals(), target(options, console) as (settings, fitting):
        result = run_load(fitting, settings, console)
    print_summary(console, result, page)
    if report is not None:
        write_text(report, result.model_dump_json(indent=2) + "\n")
    if result.problems:
        raise typer.Exit(1)
