"""What becomes of the records of the items topic while services come and go."""

from collections.abc import Sequence

import pytest

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.errors import TransientError
from millrace.kernel.settings import Settings
from millrace.runtime.records import OutgoingRecord, SourceRecord
from millrace.stores.redis.values import ItemSource
from millrace.streams.worker.items import ItemsProcessor

SETTINGS = Settings()


class Services:
    """The store, the publisher and the worker's view; each fails as often as asked."""

    def __init__(self, **failures: int) -> None:
        self.failures = failures
        self.written: list[str] = []
        self.published: list[OutgoingRecord] = []
        self.refreshed = 0
        self.sources: list[ItemSource] = []

    def _maybe_fail(self, name: str) -> None:
        if self.failures.get(name, 0):
            self.failures[name] -= 1
            raise TransientError(f"The {name} is away.")

    async def upsert(self, items: Sequence[CatalogueItem], sources: Sequence[ItemSource]) -> list[int]:
        self._maybe_fail("store")
        self.sources = list(sources)
        self.written += [item.title for item in items]
        return list(range(len(items)))

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        self._maybe_fail("publisher")
        self.published += records

    async def refresh(self) -> None:
        self._maybe_fail("view")
        self.refreshed += 1

    def processor(self) -> ItemsProcessor:
        return ItemsProcessor(SETTINGS.event_policy, SETTINGS.topics, self, self, self.refresh)


def records(*values: bytes) -> list[SourceRecord]:
    return [SourceRecord("items", 0, offset, 0, None, value) for offset, value in enumerate(values)]


GOOD = b'{"item_id": "1", "title": "Heat"}'
HUGE = b'{"item_id": "2", "attributes": {"ean": 123456789012345678901}}'


async def test_an_item_that_nobody_can_store_is_a_dead_letter_and_the_others_are_written() -> None:
    services = Services()
    await services.processor().process(records(HUGE, GOOD))
    assert services.written == ["Heat"]
    assert [letter.value for letter in services.published] == [HUGE]


async def test_a_view_that_does_not_follow_repeats_no_dead_letter() -> None:
    services = Services(view=1)
    await services.processor().process(records(HUGE, GOOD))
    assert (services.written, len(services.published), services.refreshed) == (["Heat"], 1, 0)


async def test_the_newest_record_of_an_item_is_written_with_its_place() -> None:
    services = Services()
    await services.processor().process(records(GOOD, GOOD.replace(b"Heat", b"Heat again")))
    assert (services.written, services.sources) == (["Heat again"], [ItemSource(0, 1, 0)])


@pytest.mark.parametrize("away", ["store", "publisher"])
async def test_what_is_away_is_waited_for(away: str) -> None:
    services = Services(**{away: 2})
    await services.processor().process(records(HUGE, GOOD))
    assert (set(services.written), len(services.published), services.refreshed) == ({"Heat"}, 1, 1)
