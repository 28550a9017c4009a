"""Recorded event streams, as the evaluation and the training read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.user_state import ResolvedEvent
from millrace.model.dataset.event_table import EventTable
from millrace.producers.movielens import UserFacts, load_movielens
from millrace.streams.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class RecordedStream:
    """Events in time order with their catalogue.

    Args:
        events: Events in the order of replay.
        catalogue: All items; indexes start at 1, in catalogue order.
        users: User id -> known facts about the user; used in reports only.
    """

    events: Sequence[ResolvedEvent]
    catalogue: Catalogue
    users: Mapping[str, UserFacts] = field(default_factory=dict)

    def table(self) -> EventTable:
        """Return the events as columns; users are numbered from 0 in order of appearance, all weights are 1."""
        numbers: dict[str, int] = {}
        users = [numbers.setdefault(event.user_id, len(numbers)) for event in self.events]
        return EventTable(
            np.array(users, np.int32),
            np.array([event.item for event in self.events], np.int32),
            np.array([event.value for event in self.events], np.float32),
            np.array([event.ts_ms for event in self.events], np.int64),
        )

    def items(self) -> dict[int, CatalogueItem]:
        """Return dense index -> item for the whole catalogue."""
        found = ((index, self.catalogue.item(index)) for index in range(1, self.catalogue.max_index + 1))
        return {index: item for index, item in found if item is not None}


def load_stream(path: str | Path, seed: int = 0) -> RecordedStream:
    """Read a MovieLens folder.

    Args:
        path: MovieLens folder.
        seed: Seed of the order of ratings with the same second.

    Raises:
        ConfigurationError: The folder is missing, empty or of an unknown format.
    """
    data = load_movielens(path, seed)
    catalogue = Catalogue()
    indexes: dict[str, int] = {}

    def register(item: CatalogueItem) -> int:
        index = indexes.setdefault(item.item_id, len(indexes) + 1)
        catalogue.upsert(index, item)
        return index

    for item in data.items:
        register(item)
    events = []
    for event in data.events():
        # As in service, an event of an item outside the catalogue registers that item.
        index = indexes.get(event.item_id) or register(CatalogueItem(item_id=event.item_id))
        events.append(ResolvedEvent(event.event_id, event.user_id, index, float(event.value or 0.0), event.ts_ms))
    return RecordedStream(events, catalogue, data.users)
