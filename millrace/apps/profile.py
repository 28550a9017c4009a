"""What Millrace knows of one user, put together for people: `millrace recommend`."""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING

import orjson
from pydantic import BaseModel, ConfigDict

from millrace.kernel.contracts import CatalogueItem

if TYPE_CHECKING:
    from millrace.kernel.user_state import ServedList, UserState
    from millrace.stores.redis.stores import Stores


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class GenreTaste(_Frozen):
    """A genre's share of a user's remembered history (genres overlap, so shares add up to more than 1)."""

    genre: str
    share: float
    mean_value: float


class HistoryEntry(_Frozen):
    """One event of the history; `ts_ms` is event time."""

    item_id: str
    title: str
    value: float
    ts_ms: int


class ListEntry(_Frozen):
    """One place of a list; what is None was not kept with it.

    `rated_since` says that the user has acted on the item after the list was made: the next list is on its way.
    """

    rank: int
    item_id: str
    title: str
    predicted_rating: float | None = None
    reason: str | None = None
    because_title: str | None = None
    rated_since: bool = False


class ShownList(_Frozen):
    """A list with where it comes from."""

    recommendation_id: str
    model_version: str | None
    arm: str
    fallback: str | None
    generated_ts_ms: int | None
    items: list[ListEntry]


class UserProfile(_Frozen):
    """A user, their newest history first, and the list they would see now.

    `for_new_users` says that the user has none of their own and `shown` is what a new user gets.
    """

    user_id: str
    events: int
    items_touched: int
    mean_value: float | None
    last_ts_ms: int | None
    genres: list[GenreTaste]
    history: list[HistoryEntry]
    for_new_users: bool
    shown: ShownList | None


async def read_profile(stores: "Stores", user_id: str, history_length: int) -> UserProfile:
    """Read a user from Redis.

    Args:
        stores: Open stores.
        user_id: Who; an unknown one has no events and is shown the list of new users.
        history_length: How many history entries to return; the genres come from all that is remembered.

    Raises:
        TransientError: Redis does not answer.
    """
    (state,) = await stores.users.load([user_id])
    served, record = state.served, await stores.users.record(user_id)
    own = served is not None
    if served is None:
        served, record = await stores.serving.cold_list() or (None, None)
    items = await _items(stores, state, served)
    return UserProfile(
        user_id=user_id,
        events=state.count,
        items_touched=len(state.touched),
        mean_value=state.mean_value,
        last_ts_ms=state.last_ts_ms,
        genres=genre_tastes([items[index] for index in state.items.tolist()], state.values.tolist()),
        history=_history(state, items)[:history_length],
        for_new_users=not own,
        shown=None if served is None else await _shown(stores, served, record, items, set(state.touched.tolist())),
    )


def genre_tastes(items: Sequence[CatalogueItem], values: Sequence[float]) -> list[GenreTaste]:
    """Return the genres of a history, the most frequent first."""
    by_genre: dict[str, list[float]] = defaultdict(list)
    for item, value in zip(items, values, strict=True):
        for genre in item.genres:
            by_genre[genre].append(value)
    tastes = [
        GenreTaste(genre=genre, share=len(each) / len(items), mean_value=sum(each) / len(each))
        for genre, each in by_genre.items()
    ]
    return sorted(tastes, key=lambda taste: (-taste.share, taste.genre))


async def _items(stores: "Stores", state: "UserState", served: "ServedList | None") -> dict[int, CatalogueItem]:
    """Return the metadata of everything in the history and the list, by dense index."""
    indexes = sorted({*state.items.tolist(), *(served.items if served else ())})
    ids = await stores.catalogue.item_ids(indexes)
    known = [item_id or f"#{index}" for index, item_id in zip(indexes, ids, strict=True)]
    return dict(zip(indexes, await stores.catalogue.items(known), strict=True))


def _history(state: "UserState", items: Mapping[int, CatalogueItem]) -> list[HistoryEntry]:
    entries = zip(state.items.tolist(), state.values.tolist(), state.ts_ms.tolist(), strict=True)
    return [
        HistoryEntry(item_id=items[index].item_id, title=_title(items[index]), value=value, ts_ms=ts_ms)
        for index, value, ts_ms in entries
    ]


async def _shown(
    stores: "Stores",
    served: "ServedList",
    record: bytes | None,
    items: Mapping[int, CatalogueItem],
    touched: Set[int],
) -> ShownList:
    """Join the served list with the record published for it."""
    published = orjson.loads(record) if record else {}
    details = {each["item_id"]: each for each in published.get("items", ())}
    causes = sorted({each["reason"]["item_id"] for each in details.values()} - {None})
    titles = {item.item_id: _title(item) for item in await stores.catalogue.items(causes)}
    return ShownList(
        recommendation_id=served.recommendation_id,
        model_version=served.version,
        arm=served.arm,
        fallback=published.get("fallback"),
        generated_ts_ms=published.get("generated_ts_ms"),
        items=[
            _entry(rank, items[index], details.get(items[index].item_id), titles, index in touched)
            for rank, index in enumerate(served.items, start=1)
        ],
    )


def _entry(
    rank: int,
    item: CatalogueItem,
    detail: Mapping[str, object] | None,
    titles: Mapping[str, str],
    rated_since: bool,
) -> ListEntry:
    entry = ListEntry(rank=rank, item_id=item.item_id, title=_title(item), rated_since=rated_since)
    if detail is None:
        return entry
    reason = detail["reason"]
    assert isinstance(reason, dict)  # noqa: S101 - the contract's shape
    return entry.model_copy(
        update={
            "predicted_rating": detail["predicted_rating"],
            "reason": reason["code"],
            "because_title": titles.get(reason["item_id"]),
        }
    )


def _title(item: CatalogueItem) -> str:
    """Return what a person recognises; a title that does not end with the year gets it."""
    title = item.title or f"item {item.item_id}"
    return title if item.year is None or str(item.year) in title else f"{title} ({item.year})"
