"""Follows one user through the stream: what they rate, and how their list changes with it."""

from collections import Counter
from collections.abc import Iterable, Mapping

import orjson

from millrace.apps.demo.screen import FollowedList
from millrace.kernel.contracts import ActivityEvent
from millrace.producers.replay import Answer

# Enough ratings for the list to move a few times, few enough that one can watch each.
MIN_EVENTS = 20
MAX_EVENTS = 80
SHOWN_ITEMS = 5
_REASONS = {
    "because_you_rated": "because of {}",
    "trending": "trending",
    "new": "new",
    "explore": "to find out",
}


def choose_user(events: Iterable[ActivityEvent]) -> str:
    """Return the user who is first to act among those with a watchable number of events (else the busiest)."""
    counts = Counter(event.user_id for event in events)
    watchable = (user_id for user_id, count in counts.items() if MIN_EVENTS <= count <= MAX_EVENTS)
    return next(watchable, counts.most_common(1)[0][0])


class Follower:
    """Keeps the followed user's newest list, ready to be shown.

    Args:
        user_id: Who is followed.
        titles: item_id -> title.
    """

    def __init__(self, user_id: str, titles: Mapping[str, str]) -> None:
        self.user_id = user_id
        self.lists = 0
        self.changed = 0
        self.newest: FollowedList | None = None
        self._titles = titles
        self._shown: list[str] = []

    def answer(self, answer: Answer) -> None:
        """Take note of a list, if it is the followed user's."""
        if answer.event.user_id != self.user_id:
            return
        items = orjson.loads(answer.value)["items"][:SHOWN_ITEMS]
        self.lists += 1
        self.changed += [item["item_id"] for item in items] != self._shown
        lines = [self._line(item) for item in items]
        self._shown = [item["item_id"] for item in items]
        title = self._title(answer.event.item_id)
        cause = f"rated {title} {answer.event.value:g}, new list after {answer.latency_ms} ms"
        self.newest = FollowedList(self.user_id, cause, lines)

    def _line(self, item: Mapping[str, object]) -> str:
        mark = " " if item["item_id"] in self._shown else "+"
        reason = item["reason"]
        assert isinstance(reason, dict)  # noqa: S101 - the contract's shape
        why = _REASONS[reason["code"]].format(self._title(str(reason["item_id"])))
        stars = item["predicted_rating"]
        guess = f"{stars:.1f} stars" if isinstance(stars, float) else ""
        return f"{mark} {item['rank']}. {self._title(str(item['item_id'])):<46.46} {guess:<10} {why:.46}"

    def _title(self, item_id: str) -> str:
        return self._titles.get(item_id) or f"item {item_id}"
