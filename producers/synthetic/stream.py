"""A stream for load: taste clusters that drift, sessions, a long tail and items that arrive during the stream."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heapify, heapreplace

from millrace.kernel.contracts import ActivityEvent, CatalogueItem
from millrace.kernel.contracts.event import MAX_RATING, MIN_RATING, RATING
from millrace.producers.synthetic.options import SyntheticOptions

_START_TS_MS = 1_577_836_800_000  # 2020-01-01
_CLUSTERS = (
    *("Action", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Western"),
)
_TASTES_PER_USER = 2
# A tenth of the catalogue arrives during the stream, evenly.
_LATE_ITEMS = 0.1
_NEW_ITEM_SHARE = 0.03  # of all events go to one of the items that arrived last
_SESSION_EVENTS = 8.0  # mean
_GAP_IN_SESSION_MS = 40_000.0  # mean
_GAP_BETWEEN_SESSIONS_MS = 2 * 86_400_000.0  # mean of an average user
_DRIFT_PER_SESSION = 0.05  # a user swaps one taste for another
_OFF_TASTE = 0.15  # of the events in a session
_FOLLOW = 0.4  # of the events go to a neighbour of the one before: what a sequence model can learn
_FOLLOW_REACH = 5
_TAIL = 4.0  # popularity: position = n * u**_TAIL favours the first items of a cluster
_ATTEMPTS = 8  # at finding an item the user has not had


@dataclass(slots=True)
class _User:
    number: int
    tastes: list[int]
    pace: float
    seen: set[int]
    session_left: int = 0
    session_cluster: int = 0
    last_item: int = -1


class SyntheticStream:
    """Items and events made from a seed; iterating twice gives the same events twice.

    Args:
        options: Sizes and seed.
    """

    def __init__(self, options: SyntheticOptions) -> None:
        self.options = options
        self._late = int(options.items * _LATE_ITEMS)
        self._early = options.items - self._late
        # Item n belongs to cluster n modulo the number of clusters; position in the cluster is its popularity rank.
        self._clusters = min(len(_CLUSTERS), self._early)

    @property
    def items(self) -> list[CatalogueItem]:
        """The catalogue at the beginning."""
        return [self._item(number) for number in range(self._early)]

    def events(self, on_new_item: Callable[[CatalogueItem], object] | None = None) -> Iterator[ActivityEvent]:
        """Yield the events in time order.

        Args:
            on_new_item: Called with each item that arrives on the way, before any event names it.
        """
        chance = random.Random(self.options.seed)
        users = [self._user(number, chance) for number in range(self.options.users)]
        queue = [(_START_TS_MS + chance.expovariate(user.pace), user.number) for user in users]
        heapify(queue)
        arrived = self._early
        for count in range(self.options.events):
            while arrived < self._early + self._late * count // self.options.events:
                if on_new_item is not None:
                    on_new_item(self._item(arrived))
                arrived += 1
            ts_ms, number = queue[0]
            yield self._event(count, int(ts_ms), users[number], arrived, chance)
            heapreplace(queue, (ts_ms + self._gap_ms(users[number], chance), number))

    def _item(self, number: int) -> CatalogueItem:
        cluster = _CLUSTERS[number % self._clusters]
        return CatalogueItem(
            item_id=f"item-{number}", title=f"{cluster} {number}", genres=(cluster,), year=1950 + number * 7 % 70
        )

    def _user(self, number: int, chance: random.Random) -> _User:
        tastes = [chance.randrange(self._clusters) for _ in range(_TASTES_PER_USER)]
        # A few users are far more active than the rest.
        return _User(number, tastes, chance.paretovariate(1.5) / _GAP_BETWEEN_SESSIONS_MS, set())

    def _gap_ms(self, user: _User, chance: random.Random) -> float:
        if user.session_left > 0:
            return chance.expovariate(1.0 / _GAP_IN_SESSION_MS)
        return chance.expovariate(user.pace)

    def _event(self, count: int, ts_ms: int, user: _User, arrived: int, chance: random.Random) -> ActivityEvent:
        if user.session_left == 0:
            self._begin_session(user, chance)
        user.session_left -= 1
        item = self._choose_new(user, arrived, chance)
        user.seen.add(item)
        user.last_item = item
        return ActivityEvent(
            event_id=f"syn-{self.options.seed}-{count}",
            user_id=f"user-{user.number}",
            item_id=f"item-{item}",
            type=RATING,
            value=self._rating(user, item, chance),
            ts_ms=ts_ms,
        )

    def _begin_session(self, user: _User, chance: random.Random) -> None:
        if chance.random() < _DRIFT_PER_SESSION:
            user.tastes[chance.randrange(_TASTES_PER_USER)] = chance.randrange(self._clusters)
        user.session_cluster = chance.choice(user.tastes)
        user.session_left = 1 + int(chance.expovariate(1.0 / (_SESSION_EVENTS - 1)))

    def _choose_new(self, user: _User, arrived: int, chance: random.Random) -> int:
        """Return an item that is new to the user, or any after some attempts."""
        item = self._choose(user, arrived, chance)
        for _ in range(_ATTEMPTS):
            if item not in user.seen:
                break
            item = self._choose(user, arrived, chance)
        return item

    def _choose(self, user: _User, arrived: int, chance: random.Random) -> int:
        if arrived > self._early and chance.random() < _NEW_ITEM_SHARE:
            newest = min(arrived - self._early, 20)
            return arrived - 1 - chance.randrange(newest)
        if user.last_item >= 0 and chance.random() < _FOLLOW:
            return (user.last_item + self._clusters * (1 + chance.randrange(_FOLLOW_REACH))) % self._early
        cluster = user.session_cluster
        if chance.random() < _OFF_TASTE:
            cluster = chance.randrange(self._clusters)
        size = (self._early - cluster + self._clusters - 1) // self._clusters
        return cluster + self._clusters * int(size * chance.random() ** _TAIL)

    def _rating(self, user: _User, item: int, chance: random.Random) -> float:
        liked = item % self._clusters in user.tastes
        value = round(2 * chance.gauss(4.0 if liked else 3.0, 0.7)) / 2
        return min(MAX_RATING, max(MIN_RATING, value))
