"""Follows one user through the stream: what they rate, and how their list changes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from millrace.apps.demo.panel import FollowedList, ListLine
from millrace.kernel.contracts import ActivityEvent
from millrace.producers.replay import Answer

# Enough ratings for the list to change a few times, few enough to watch each change.
MIN_EVENTS = 20
MAX_EVENTS = 80
SHOWN_ITEMS = 5
_REASONS = {
    "because_you_rated": "because of {}",
    "trending": "trending",
    "new": "new",
    "explore": "exploration",
}


def choose_user(events: Iterable[ActivityEvent]) -> str:
    """Return the first user to act among those with a watchable number of events, else the busiest one."""
    counts = Counter(event.user_id for event in events)
    watchable = (user_id for user_id, count in counts.items() if MIN_EVENTS <= count <= MAX_EVENTS)
    return next(watchable, counts.most_common(1)[0][0])


class Follower:
    """Keeps the newest list of one user.

    Args:
        user_id: The user.
        titles: item_id -> title.
    """

    def __init__(self, user_id: str, titles: Mapping[str, str]) -> None:
        self.user_id = user_id
        self.newest: FollowedList | None = None
        self._titles = titles
        self._shown: frozenset[str] = frozenset()

    def answer(self, answer: Answer) -> None:
        """Take a list; lists of other users are ignored."""
        if answer.event.user_id != self.user_id:
            return
        items = orjson.loads(answer.value)["items"][:SHOWN_ITEMS]
        lines = [self._line(item) for item in items]
        self._shown = frozenset(item["item_id"] for item in items)
        title = self._title(answer.event.item_id)
        cause = f"rated {title} {answer.event.value:g}; new list after {answer.latency_ms} ms"
        self.newest = FollowedList(self.user_id, cause, lines)

    def _line(self, item: Mapping[str, Any]) -> ListLine:
        reason = item["reason"]
        why = _REASONS[reason["code"]].format(self._title(str(reason["item_id"])))
        title = self._title(item["item_id"])
        return ListLine(item["rank"], title, item["predicted_rating"], why, item["item_id"] not in self._shown)

    def _title(self, item_id: str) -> str:
        return self._titles.get(item_id) or f"item {item_id}"
