"""Who takes part in a load test: people of a data set with what they did, and newcomers when those are used up."""

import random
from collections.abc import Iterable, Sequence

from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.contracts.event import RATING
from millrace.kernel.errors import ConfigurationError
from millrace.load_tests.users.behaviour import Act, Browser, Rater


class Casting:
    """Hands out people, each once.

    Args:
        ratings: What people did, in time order.
        item_ids: The catalogue.
        types: Event types that the installation accepts besides ratings.
        seed: Makes a run repeatable.

    Raises:
        ConfigurationError: There is nothing to do.
    """

    def __init__(
        self, ratings: Iterable[ActivityEvent], item_ids: Sequence[str], types: Sequence[str], seed: int
    ) -> None:
        self._by_user: dict[str, list[Act]] = {}
        for event in ratings:
            self._by_user.setdefault(event.user_id, []).append(Act(RATING, event.item_id, event.value))
        if not self._by_user or not item_ids:
            raise ConfigurationError("The data holds no ratings to load the system with; give another --data.")
        self._people = iter(list(self._by_user))
        self._item_ids = item_ids
        self._types = types
        self._random = random.Random(seed)
        self._newcomers = 0

    def rater(self) -> tuple[str, Rater]:
        """Return a user id and what this person rates."""
        user_id = self._next()
        ratings = self._by_user.get(user_id)
        if ratings is None:
            # A newcomer follows in the footsteps of somebody else.
            ratings = self._by_user[self._random.choice(list(self._by_user))]
        return user_id, Rater(ratings)

    def browser(self) -> tuple[str, Browser]:
        """Return a user id and how this person browses."""
        return self._next(), Browser(self._item_ids, self._types, random.Random(self._random.random()))

    def _next(self) -> str:
        user_id = next(self._people, None)
        if user_id is None:
            self._newcomers += 1
            user_id = f"newcomer-{self._newcomers}"
        return user_id
