"""Views, likes, dislikes and purchases derived from ratings, to try out an installation without ratings."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from millrace.kernel.contracts import ActivityEvent

_LIKED, _DISLIKED, _BOUGHT = 4.0, 1.5, 5.0
# Share of the items with the best rating that are bought.
_BOUGHT_SHARE = 0.5
_HASH_RANGE = 2**64


def as_activities(ratings: Iterable[ActivityEvent]) -> Iterator[ActivityEvent]:
    """Yield for each rating a view, then a like from 4 up, a dislike to 1.5, and for half of the 5s a purchase.

    Which 5 is a purchase depends on the event's id alone, so a repeated replay repeats the events and their ids.

    Args:
        ratings: Events with a value, in replay order.
    """
    for rating in ratings:
        for place, kind in enumerate(kinds_of(rating)):
            yield rating.model_copy(
                update={
                    "event_id": f"{rating.event_id}-{kind}",
                    "type": kind,
                    "value": None,
                    "ts_ms": rating.ts_ms + place,
                }
            )


def kinds_of(rating: ActivityEvent) -> tuple[str, ...]:
    """Return the types of the activities that stand for a rating, in their order."""
    value = rating.value or 0.0
    if value <= _DISLIKED:
        return "view", "dislike"
    if value < _LIKED:
        return ("view",)
    if value == _BOUGHT and _share_of(rating.event_id) < _BOUGHT_SHARE:
        return "view", "like", "purchase"
    return "view", "like"


def _share_of(event_id: str) -> float:
    return int.from_bytes(blake2b(event_id.encode(), digest_size=8).digest(), "little") / _HASH_RANGE
