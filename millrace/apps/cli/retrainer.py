"""`millrace retrainer`."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("retrainer", rich_help_panel="Roles")(retrainer)


def retrainer(
    once: Annotated[bool, typer.Option("--once", help="Train once if there are new events, then exit.")] = False,
    every: Annotated[str | None, typer.Option(help="Train this often: 90s, 10m, 2h.")] = None,
    every_events: Annotated[
        int | None, typer.Option(min=1, help="Train when the log has this many events the model has not learned.")
    ] = None,
    quick_first: Annotated[
        bool, typer.Option("--quick-first", help="Serve a first version without an encoder, then train the encoder.")
    ] = False,
    trigger: Annotated[bool, typer.Option("--trigger", help="Ask the running retrainer to train now.")] = False,
) -> None:
    """Train new model versions from the event log and put them into service.

    Training starts from the serving version. A new version is evaluated on events it was not trained on, then loaded
    and warmed up before workers switch to it, so that no request fails. A version that is worse than the online counts
    stays in the registry, with the reason in its card, and does not serve. The first version is trained as soon as
    there are events. Without --every and --every-events, later ones are trained only after --trigger.

    Examples:
      millrace retrainer --every 10m
      millrace retrainer --every-events 5000
      millrace retrainer --trigger
    """
    from millrace.kernel.settings import load_settings

    settings = load_settings()
    if trigger:
        from millrace.consumers.retrainer import request_retraining

        request_retraining(settings)
        return
    from rich.console import Console

    from millrace.apps.cli.logs import log_to_stderr
    from millrace.consumers.retrainer.run import run_retrainer
    from millrace.consumers.retrainer.schedule import Schedule
    from millrace.kernel.durations import seconds_of

    log_to_stderr()
    schedule = Schedule(seconds_of(every) if every else None, every_events)
    status = run_retrainer(settings, schedule, once, quick_first)
    if once:
        Console().print(status.last_result, markup=False, highlight=False, soft_wrap=True)
