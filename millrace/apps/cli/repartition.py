"""`millrace repartition`."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from millrace.kernel.settings import Settings
    from millrace.stores.redis.stores import Stores
    from millrace.streams.repartition import Repartitioned


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("repartition", rich_help_panel="Event log and models")(repartition)


def repartition(
    partitions: Annotated[int, typer.Option(min=1, max=10_000, help="How many the events topic is to have.")],
) -> None:
    """Give the events topic more partitions, and lay the users in Redis out for them.

    Publishers and workers must be stopped, and everything published must have been handled: a user's next event may
    come in another partition. Killed half-way, it is called again. Afterwards set MILLRACE_TOPIC_PARTITIONS to the same
    number everywhere, and start workers and publishers.

    Examples:
      millrace repartition --partitions 8
    """
    from rich.console import Console

    from millrace.apps.cli.options import quiet_kafka
    from millrace.kernel.progress import counting_bar
    from millrace.kernel.settings import load_settings

    quiet_kafka()
    settings, console = load_settings(), Console(stderr=True)
    with counting_bar(console) as bar:
        task = bar.add_task("Moving users", total=None)
        done = asyncio.run(_repartition(settings, partitions, lambda moved: bar.update(task, completed=moved)))
    before = "none so far" if done.before is None else str(done.before)
    console.print(
        f"{settings.topics.events} has {done.partitions} partitions (users were laid out for {before}); {done.moved} "
        f"users have moved. Set MILLRACE_TOPIC_PARTITIONS={done.partitions} wherever Millrace runs.",
        highlight=False,
        soft_wrap=True,
    )


async def _repartition(settings: "Settings", partitions: int, on_progress: "Callable[[int], None]") -> "Repartitioned":
    from millrace.kernel.topic_admin import grow_topic
    from millrace.stores.redis.stores import open_stores
    from millrace.streams.repartition import repartition

    topic = settings.topics.events
    async with open_stores(settings) as stores:
        await _check_quiet(stores, settings)
        grow_topic(settings, topic, partitions)
        return await repartition(stores.redis, stores.keys, topic, partitions, on_progress)


async def _check_quiet(stores: "Stores", settings: "Settings") -> None:
    """Make sure that nobody writes and nothing is left to handle.

    Raises:
        ConfigurationError: Something is; the text says what.
    """
    from millrace.kernel.errors import ConfigurationError
    from millrace.kernel.topic_reader import TopicReader
    from millrace.stores.redis.layout import TopicLayout
    from millrace.stores.redis.redis_statistics import KEEPER_ROLE
    from millrace.stores.redis.redis_users import WORKER_ROLE
    from millrace.streams.repartition import check_all_done

    topic, roles = settings.topics.events, (WORKER_ROLE, KEEPER_ROLE)
    running = sorted({str(beat["role"]) for beat in await stores.serving.heartbeats()} & set(roles))
    if running:
        raise ConfigurationError(f"Users cannot be laid out anew while {' and '.join(running)} run; stop them first.")
    with TopicReader(settings, topic, "latest") as reader:
        ends = {place.partition: end for place, end in reader.end_offsets().items()}
    before = await TopicLayout(stores.redis, stores.keys, topic).partitions()
    for role in roles:
        marks = await stores.users.watermarks(role, topic)
        if marks or role == WORKER_ROLE:
            check_all_done(role, marks, ends, before)
