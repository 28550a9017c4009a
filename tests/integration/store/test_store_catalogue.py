import asyncio
import random

import pytest

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.settings import Settings
from millrace.stores.redis.stores import Stores, open_stores
from millrace.stores.redis.values import CatalogueChange, ItemSource

pytestmark = pytest.mark.services

HEAT = CatalogueItem(
    item_id="6", title="Heat", genres=("Action", "Crime"), year=1995, attributes={"mins": 170, "hd": True}
)


async def test_indexes_are_dense_from_one_and_stay(stores: Stores) -> None:
    assert await stores.catalogue.assign(["a", "b", "a"]) == [1, 2, 1]
    assert await stores.catalogue.assign(["c", "b"]) == [3, 2]
    assert await stores.catalogue.upsert([HEAT, CatalogueItem(item_id="a")]) == [4, 1]
    assert await stores.catalogue.indexes(["6", "unknown", "c"]) == [4, None, 3]
    assert await stores.catalogue.item_ids([4, 9, 1]) == ["6", None, "a"]
    assert await stores.catalogue.items(["6", "unknown"]) == [HEAT, CatalogueItem(item_id="unknown")]
    assert await stores.catalogue.count() == 4
    assert await stores.catalogue.assign([]) == []
    assert await stores.catalogue.upsert([]) == []


async def test_concurrent_clients_never_give_two_indexes(settings: Settings) -> None:
    ids = [f"item-{n}" for n in range(1500)]

    async def one_client(seed: int) -> dict[str, int]:
        mine = random.Random(seed).sample(ids, 1200)
        async with open_stores(settings) as stores:
            answers = [await stores.catalogue.assign(mine[at : at + 37]) for at in range(0, len(mine), 37)]
        return dict(zip(mine, (index for answer in answers for index in answer), strict=True))

    answers = await asyncio.gather(*map(one_client, range(6)))
    seen: dict[str, int] = {}
    for answer in answers:
        assert all(seen.setdefault(item_id, index) == index for item_id, index in answer.items())
    assert sorted(seen.values()) == list(range(1, len(seen) + 1))


async def test_every_field_comes_back(stores: Stores) -> None:
    await stores.catalogue.upsert([HEAT, CatalogueItem(item_id="7", available=False)])
    _, changes = await stores.catalogue.changes_since(0)
    assert changes == [CatalogueChange(1, HEAT), CatalogueChange(2, CatalogueItem(item_id="7", available=False))]


async def test_an_upsert_replaces_every_field(stores: Stores) -> None:
    await stores.catalogue.upsert([HEAT])
    await stores.catalogue.upsert([CatalogueItem(item_id="6", title="Heat (again)")])
    assert (await stores.catalogue.changes_since(0))[1] == [
        CatalogueChange(1, CatalogueItem(item_id="6", title="Heat (again)"))
    ]


async def test_an_older_record_replaces_no_newer_one(stores: Stores) -> None:
    def heat(title: str) -> CatalogueItem:
        return HEAT.model_copy(update={"title": title})

    async def title() -> str:
        return (await stores.catalogue.items(["6"]))[0].title

    await stores.catalogue.assign(["6"])
    assert await stores.catalogue.upsert([heat("first")], [ItemSource(0, 9, 90)]) == [1]
    await stores.catalogue.upsert([heat("newer")], [ItemSource(0, 10, 90)])
    sequence = await stores.catalogue.sequence()
    # A worker that was stopped wakes up and writes what it had read.
    late = [ItemSource(0, 9, 90), ItemSource(0, 8, 80)]
    assert await stores.catalogue.upsert([heat("first"), CatalogueItem(item_id="8")], late) == [1, 2]
    assert await title() == "newer"
    assert (await stores.catalogue.changes_since(sequence))[1] == [CatalogueChange(2, CatalogueItem(item_id="8"))]
    # Offsets of another partition cannot be compared.
    await stores.catalogue.upsert([heat("elsewhere")], [ItemSource(1, 2, 50)])
    assert await title() == "elsewhere"
    # A topic that is created anew begins at offset 0.
    await stores.catalogue.upsert([heat("new topic")], [ItemSource(1, 0, 100)])
    assert await title() == "new topic"
    # A rebuild writes what the log says, and any record may replace it.
    await stores.catalogue.upsert([heat("rebuilt")])
    assert await title() == "rebuilt"
    await stores.catalogue.upsert([heat("last")], [ItemSource(1, 0, 10)])
    assert await title() == "last"


async def test_a_reader_sees_each_change_once(stores: Stores) -> None:
    await stores.catalogue.upsert([HEAT])
    sequence, _ = await stores.catalogue.changes_since(0)
    assert await stores.catalogue.changes_since(sequence) == (sequence, [])
    await stores.catalogue.assign(["bare", "6"])
    later, changes = await stores.catalogue.changes_since(sequence)
    assert changes == [CatalogueChange(2, CatalogueItem(item_id="bare"))]
    assert later == await stores.catalogue.sequence() > sequence


async def test_assigning_a_known_item_is_no_change(stores: Stores) -> None:
    await stores.catalogue.upsert([HEAT])
    before = await stores.catalogue.sequence()
    await stores.catalogue.assign(["6"])
    assert await stores.catalogue.sequence() == before


async def test_assign_does_not_touch_metadata(stores: Stores) -> None:
    await stores.catalogue.assign(["6"])
    await stores.catalogue.upsert([HEAT])
    await stores.catalogue.assign(["6", "8"])
    assert (await stores.catalogue.changes_since(0))[1][0] == CatalogueChange(1, HEAT)


async def test_an_empty_catalogue(stores: Stores) -> None:
    assert await stores.catalogue.changes_since(0) == (0, [])
    assert await stores.catalogue.sequence() == 0


async def test_ten_thousand_items_are_read(stores: Stores) -> None:
    await stores.catalogue.upsert([CatalogueItem(item_id=str(n), title=f"Film {n}", year=1990) for n in range(10_000)])
    sequence, changes = await stores.catalogue.changes_since(0)
    assert [change.index for change in changes] == list(range(1, 10_001))
    assert sequence == 10_000


async def test_clearing_starts_again_from_one(stores: Stores) -> None:
    await stores.catalogue.upsert([HEAT])
    await stores.catalogue.assign(["x"])
    await stores.catalogue.clear()
    assert await stores.catalogue.changes_since(0) == (0, [])
    assert await stores.catalogue.assign(["x"]) == [1]
