"""Training as one call: from the event log or a folder's events to a published version."""

from collections.abc import Mapping
from itertools import chain

from consumers.event_log.protocol import EventLog
from millrace.contracts.decode import EventPolicy
from model.dataset.events import TrainingData, from_log
from model.item_ids import write_item_ids
from model.registry import Registry, Version
from model.training.progress import Progress, silent
from model.training.train import train
from model.versions import publish
from streams.store.protocols import CatalogueStore


async def read_log(
    log: EventLog, catalogue: CatalogueStore, policy: EventPolicy, learned: Mapping[int, int]
) -> TrainingData:
    """Read the whole log with the indexes that Redis has given to the items.

    Args:
        log: Event log.
        catalogue: Gives indexes; items that only the log knows are registered.
        policy: Gives the values of event types that carry none.
        learned: Last offset that the parent version has learned, by partition; empty without a parent.
    """
    pages = list(log.read({}))
    item_ids = list(dict.fromkeys(logged.event.item_id for logged in chain.from_iterable(pages)))
    index = dict(zip(item_ids, await catalogue.assign(item_ids), strict=True))
    _, changes = await catalogue.changes_since(0)
    items = {change.index: change.item for change in changes}
    return from_log(pages, items, lambda wanted: [index[item_id] for item_id in wanted], learned, policy)


def train_and_publish(
    data: TrainingData,
    registry: Registry,
    parent: Version | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Version:
    """Train a version and put it into the registry.

    Args:
        data: What to learn; `data.new_from` has to fit the parent.
        registry: Where to.
        parent: Version to start from.
        seed: Of everything random.
        progress: Told phase (`encoder`, `replay`, `ranker`, `export`) and share.

    Raises:
        ConfigurationError: There is too little to learn from, or the parent is of another build.
        FatalError: ONNX and Keras disagree, or the registry cannot be written.
    """
    trained = train(data, parent, seed, progress)
    progress("export", 0.0)
    version = publish(registry, trained.recommender, trained.card)
    write_item_ids(version.path, data.items)
    progress("export", 1.0)
    return version
