"""`millrace train PATH|log`."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from millrace.kernel.contracts import CatalogueItem
    from millrace.kernel.settings import Settings
    from millrace.kernel.user_state import ResolvedEvent
    from millrace.model.registry import Registry, Version
    from millrace.model.triton_admin import ModelServer

_LOG = "log"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train", rich_help_panel="Event log and models")(train)


def train(
    source: Annotated[str, typer.Argument(metavar="PATH|log", help="A MovieLens folder, or `log`: the event log.")],
    until: Annotated[float, typer.Option(min=0.0, max=1.0, help="Learn this oldest part of a folder.")] = 1.0,
    parent: Annotated[
        str, typer.Option(help="Version to start from: a name, or `latest`; only with `log`. Default: none.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    configuration: Annotated[
        Path | None, typer.Option(help="What was chosen of the model. Default: MILLRACE_MODEL_CONFIGURATION.")
    ] = None,
    deploy: Annotated[bool, typer.Option("--deploy", help="Load it into the model server and let it serve.")] = False,
) -> None:
    """Train a model version and put it into the registry.

    From a folder, items are numbered in the order of its movies file, as in an empty installation that imports that
    folder; `log` uses the numbers that Redis has given.

    Examples:
      millrace train data/ml-latest-small --until 0.6
      millrace train log --parent latest --deploy
    """
    from rich.console import Console

    from millrace.kernel.settings import load_settings
    from millrace.model.registry import Registry

    chosen = {} if configuration is None else {"model_configuration": configuration}
    settings, console = load_settings(**chosen), Console()
    registry = Registry(settings.registry_dir)
    version = _trained(settings, registry, source, until, _parent(registry, source, parent), seed)
    console.print(summary(version))
    if deploy:
        _deploy(settings, version, console)


def _parent(registry: "Registry", source: str, name: str) -> "Version | None":
    from millrace.kernel.errors import ConfigurationError

    if not name:
        return None
    if source != _LOG:
        raise ConfigurationError("A folder is learned from the start; --parent goes with `millrace train log`.")
    return registry.latest() if name == "latest" else registry.get(name)


def _trained(
    settings: "Settings", registry: "Registry", source: str, until: float, parent: "Version | None", seed: int
) -> "Version":
    """Train with a progress bar on stderr; a folder named `log` is written `./log`."""
    from rich.console import Console

    from millrace.kernel.errors import ConfigurationError
    from millrace.kernel.progress import share_bars
    from millrace.model.configuration import read_configuration

    configuration = read_configuration(settings.model_configuration)
    with share_bars(Console(stderr=True), transient=True) as bars:
        tasks = {}

        def told(phase: str, share: float) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=1.0)
            bars.update(tasks[phase], completed=share)

        events, items, position = _news(settings, source, until, seed)
        if not items:
            raise ConfigurationError(
                "There is nothing to learn from: no item is known yet; publish or import events first."
            )
        told("loading TensorFlow", 0.0)
        from millrace.model.learning.training import Refresh, Training

        told("loading TensorFlow", 1.0)
        training = Training(items, registry, parent, configuration, seed, told)
        training.add(events)
        return training.train(Refresh.ALL, position)


def _news(
    settings: "Settings", source: str, until: float, seed: int
) -> "tuple[Sequence[ResolvedEvent], Mapping[int, CatalogueItem], Mapping[int, int]]":
    """Return what to learn from: events, items and log position."""
    if source == _LOG:
        from millrace.consumers.retrainer.log_reader import LogReader

        log = LogReader(settings)
        news = asyncio.run(log.read())
        return news.events, news.items, log.position
    from millrace.model.recorded_stream import load_stream

    stream = load_stream(Path(source), seed)
    return stream.events[: round(until * len(stream.events))], stream.catalogue.items(), {}


def summary(version: "Version") -> "Table":
    """Return a table of what a version is and what it is worth."""
    from rich.table import Table

    card = version.card
    table = Table(title=f"Model version {version.name}", show_header=False)
    rows = {
        "learned": f"{card.events} events, {card.serving.items} items"
        + (f", from {card.parent}" if card.parent else ""),
        "graded on": f"{card.metrics.get('holdout_events', 0):.0f} events before they were learned",
        "hit rate at 10": _beside(card.metrics, "hit_rate_at_10"),
        "NDCG at 10": _beside(card.metrics, "ndcg_at_10"),
        "seconds": ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in card.seconds.items()),
        "one call": f"{card.timing_ms.get('one', 0):.2f} ms for a user, {card.timing_ms.get('batch', 0):.1f} ms for 64",
        "folder": str(version.path),
    }
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def _beside(metrics: dict[str, float], name: str) -> str:
    figures = [f"{metrics.get(name, 0):.4f}"]
    figures += [
        f"{who} {metrics[f'{prefix}{name}']:.4f}"
        for prefix, who in (("counts_", "online counts"), ("popularity_", "popularity"), ("parent_", "parent"))
        if f"{prefix}{name}" in metrics
    ]
    return ", ".join(figures)


def _deploy(settings: "Settings", version: "Version", console: "Console") -> None:
    from millrace.model.triton_admin import make_admin

    server = make_admin(settings)
    try:
        asyncio.run(_load_and_switch(settings, version, server))
    finally:
        server.close()
    console.print(f"Version {version.name} serves every user now.", highlight=False)


async def _load_and_switch(settings: "Settings", version: "Version", server: "ModelServer") -> None:
    from millrace.model.deploy import load, switch
    from millrace.stores.redis.stores import open_stores

    async with open_stores(settings) as stores:
        await load(version, server, stores.serving)
        await switch(version.name, stores.serving)
