"""The arrays that a list step reads besides the user, unpacked once: unpacking forty takes as long as a kernel."""

from typing import Any

from numba import types
from numba.experimental import structref

from millrace.streams.compiled import compiled
from millrace.streams.ranking.arrays import Everyone, ItemArrays, ItemLists, LinkRows, Scratch, TitleWords, UnseenItems

_FIELDS = ("rows", "items", "everyone", "unseen", "lists", "titles", "scratch")


@structref.register
class _SharedType(types.StructRef):  # type: ignore[misc]
    def preprocess_fields(self, fields: Any) -> Any:
        return tuple((name, types.unliteral(kind)) for name, kind in fields)


class Shared(structref.StructRefProxy):  # type: ignore[misc]
    """The groups of `millrace.streams.ranking.arrays` that all users share, for kernels; see `share`."""

    rows: LinkRows
    items: ItemArrays
    everyone: Everyone
    unseen: UnseenItems
    lists: ItemLists
    titles: TitleWords
    scratch: Scratch


structref.define_boxing(_SharedType, Shared)
structref.define_constructor(Shared, _SharedType, _FIELDS)


@compiled
def share(
    rows: LinkRows,
    items: ItemArrays,
    everyone: Everyone,
    unseen: UnseenItems,
    lists: ItemLists,
    titles: TitleWords,
    scratch: Scratch,
) -> Shared:
    """Put the groups together without copying: kernels see later writes to the arrays."""
    return Shared(rows, items, everyone, unseen, lists, titles, scratch)
