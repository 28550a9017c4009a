"""The view follows the store, also one that has gone back and gives an index to another item."""

from collections.abc import Sequence

from millrace.kernel.contracts import CatalogueItem
from millrace.stores.redis.values import CatalogueChange
from millrace.streams.catalogue_view import CatalogueView


class Store:
    """Registers items as Redis does; can lose the newest."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.read_from: list[int] = []

    async def assign(self, item_ids: Sequence[str]) -> list[int]:
        self.ids += [each for each in item_ids if each not in self.ids]
        return [self.ids.index(each) + 1 for each in item_ids]

    async def indexes(self, item_ids: Sequence[str]) -> list[int | None]:
        return [self.ids.index(each) + 1 if each in self.ids else None for each in item_ids]

    async def changes_since(self, sequence: int) -> tuple[int, list[CatalogueChange]]:
        self.read_from.append(sequence)
        new = enumerate(self.ids[sequence:], sequence + 1)
        return len(self.ids), [CatalogueChange(index, CatalogueItem(item_id=each)) for index, each in new]

    async def sequence(self) -> int:
        return len(self.ids)


async def test_only_what_changed_is_read() -> None:
    store = Store()
    view = CatalogueView(store, register_unknown=True)
    assert await view.resolve(["a", "b"]) == {"a": 1, "b": 2}
    await view.refresh()
    assert await view.resolve(["c"]) == {"c": 3}
    await view.refresh()
    await view.refresh()
    assert store.read_from == [0, 2, 3]
    assert [view.catalogue.item_id(index) for index in (1, 2, 3)] == ["a", "b", "c"]


async def test_items_that_the_store_has_lost_get_new_indexes() -> None:
    store = Store()
    view = CatalogueView(store, register_unknown=True)
    await view.resolve(["a", "b", "c"])
    await view.refresh()
    del store.ids[1:]
    await view.refresh()
    assert (len(view.catalogue), view.catalogue.item_id(1)) == (1, "a")
    assert await view.resolve(["c"]) == {"c": 2}
    assert await view.resolve(["b"]) == {"b": 3}


async def test_an_index_that_another_item_has_is_noticed_at_once() -> None:
    store = Store()
    view = CatalogueView(store, register_unknown=True)
    await view.resolve(["a", "b"])
    await view.refresh()
    # Another worker has registered more items than were lost, before this one looked.
    store.ids[1:] = ["x", "y", "z"]
    assert await view.resolve(["b", "x"]) == {"b": 5, "x": 2}
    assert [view.catalogue.item_id(index) for index in range(1, 6)] == ["a", "x", "y", "z", "b"]
    await view.refresh()
    assert store.read_from[-1] == 4
