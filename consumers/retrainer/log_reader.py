"""What is new in the event log, as training takes it."""

from dataclasses import dataclass
from itertools import chain

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.settings import Settings
from millrace.kernel.user_state import ResolvedEvent
from millrace.stores.event_log import open_event_log
from millrace.stores.event_log.protocol import EventLog
from millrace.stores.redis.protocols import CatalogueStore
from millrace.stores.redis.stores import open_stores


@dataclass(frozen=True, slots=True)
class News:
    """What was read.

    Args:
        events: In log order; one may have been read before.
        items: Dense index -> item, new or changed; has a bare entry for what only events name.
    """

    events: list[ResolvedEvent]
    items: dict[int, CatalogueItem]


class LogReader:
    """Reads the event log from where it was left, with the indexes that Redis has given to the items.

    Args:
        settings: Where log and Redis are.

    Attributes:
        position: Last offset read, by partition.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sequence = 0
        self._known: set[int] = set()
        self.position: dict[int, int] = {}

    async def read(self) -> News:
        """Return what has come since the last call.

        Raises:
            TransientError: The log or Redis is away.
        """
        log = open_event_log(self._settings)
        try:
            async with open_stores(self._settings) as stores:
                return await self._read(log, stores.catalogue)
        finally:
            log.close()

    async def _read(self, log: EventLog, catalogue: CatalogueStore) -> News:
        logged = list(chain.from_iterable(log.read(self.position)))
        item_ids = list(dict.fromkeys(entry.event.item_id for entry in logged))
        index = dict(zip(item_ids, await catalogue.assign(item_ids), strict=True))
        self._sequence, changes = await catalogue.changes_since(self._sequence)
        items = {change.index: change.item for change in changes}
        for item_id, number in index.items():
            if number not in items and number not in self._known:
                items[number] = CatalogueItem(item_id=item_id)
        self._known |= items.keys()
        policy = self._settings.event_policy
        events = [ResolvedEvent.of(entry.event, index[entry.event.item_id], policy) for entry in logged]
        for entry in logged:
            self.position[entry.partition] = max(self.position.get(entry.partition, -1), entry.offset)
        return News(events, items)
