"""`millrace train PATH|log`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from millrace.config import Settings
    from model.dataset.events import TrainingData
    from model.registry import Registry, Version
    from model.triton_admin import ModelServer

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
    deploy: Annotated[bool, typer.Option("--deploy", help="Load it into the model server and let it serve.")] = False,
) -> None:
    """Train a model version and put it into the registry.

    From a folder, items are numbered in the order of its movies file, as in an empty installation that imports that
    folder; `log` uses the numbers that Redis has given.

    Example: millrace train data/ml-latest-small --until 0.6
    """
    from rich.console import Console

    from millrace.config import load_settings
    from model.registry import Registry

    settings, console = load_settings(), Console()
    registry = Registry(settings.registry_dir)
    version = _trained(_data(settings, registry, source, until, parent, seed), registry, parent, seed)
    console.print(summary(version))
    if deploy:
        _deploy(settings, version, console)


def _data(
    settings: "Settings", registry: "Registry", source: str, until: float, parent: str, seed: int
) -> "TrainingData":
    """Read what to learn from; a folder named `log` is written `./log`."""
    from millrace.errors import ConfigurationError

    if source == _LOG:
        version = _parent(registry, parent)
        return asyncio.run(_read_log(settings, version.card.position if version else {}))
    if parent:
        raise ConfigurationError("A folder is learned from the start; --parent goes with `millrace train log`.")
    from model.dataset.events import from_events
    from producers.movielens import load_movielens

    folder = load_movielens(Path(source), seed)
    return from_events(folder.events(0.0, until), folder.items, settings.event_policy)


async def _read_log(settings: "Settings", learned: "dict[int, int]") -> "TrainingData":
    from consumers.event_log import open_event_log
    from model.training.jobs import read_log
    from streams.store.stores import open_stores

    log = open_event_log(settings)
    try:
        async with open_stores(settings) as stores:
            return await read_log(log, stores.catalogue, settings.event_policy, learned)
    finally:
        log.close()


def _parent(registry: "Registry", name: str) -> "Version | None":
    if not name:
        return None
    return registry.latest() if name == "latest" else registry.get(name)


def _trained(data: "TrainingData", registry: "Registry", parent: str, seed: int) -> "Version":
    """Train with a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        tasks = {}

        def told(phase: str, share: float) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=1.0)
            bars.update(tasks[phase], completed=share)

        told("loading TensorFlow", 0.0)
        from model.training.jobs import train_and_publish

        told("loading TensorFlow", 1.0)
        return train_and_publish(data, registry, _parent(registry, parent), seed, told)


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
    from model.triton_admin import make_admin

    server = make_admin(settings)
    try:
        asyncio.run(_load_and_switch(settings, version, server))
    finally:
        server.close()
    console.print(f"Version {version.name} serves every user now.", highlight=False)


async def _load_and_switch(settings: "Settings", version: "Version", server: "ModelServer") -> None:
    from model.deploy import load, switch
    from streams.store.stores import open_stores

    async with open_stores(settings) as stores:
        await load(version, server, stores.serving)
        await switch(version.name, stores.serving)
