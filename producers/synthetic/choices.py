"""Draws what a user rates next: by taste, or among the followers of their last items."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from millrace.producers.synthetic.items import FOLLOWERS, Items

# Share of the events that go to a follower of one of the last items, if the user likes any.
_FOLLOW = 0.6
_ATTEMPTS = 4
_LAST_ITEMS = 0.6  # each item further back is followed this much less often
_FOLLOW_REACH = 5
_TASTE_PULL = 3.0
# A follower that the user does not like is skipped.
_PICKY = 2.5
_PICKY_FROM = 0.3
_RANK_DECAY = 0.8  # a follower's probability shrinks by this factor per place


class Chooser:
    """Draws whole sequences of distinct items.

    Args:
        items: The catalogue.
    """

    def __init__(self, items: Items) -> None:
        self._items = items
        self._followers: list[list[int]] = items.followers.tolist()
        share = _RANK_DECAY ** np.arange(FOLLOWERS)
        self._rank_shares = np.cumsum(share / share.sum())

    def sequence(
        self, taste: NDArray[np.float64], count: int, available: NDArray[np.bool_], rng: np.random.Generator
    ) -> list[int]:
        """Return `count` distinct items in the order in which a user rates them.

        Args:
            taste: [FACTORS] of the user.
            count: How many; at most the number of available items.
            available: [I] bool, which items exist.
            rng: Source of randomness.
        """
        liking = self._items.taste @ taste
        wish = _TASTE_PULL * liking + self._items.log_popularity
        # Sorting by a Gumbel-perturbed score draws without replacement in proportion to exp(score).
        order = np.argsort(-np.where(available, wish + rng.gumbel(size=len(wish)), -np.inf), kind="stable")
        by_taste: Iterator[int] = iter(order.tolist())
        by_chance = self._attempts(count, rng)
        wanted: list[float] = np.exp(_PICKY * (liking - _PICKY_FROM)).tolist()
        had, met = set(np.flatnonzero(~available).tolist()), list[int]()
        for attempts in by_chance:
            item = self._follow(attempts, met, had, wanted)
            while item < 0:
                candidate = next(by_taste)
                item = -1 if candidate in had else candidate
            had.add(item)
            met.append(item)
        return met

    def _attempts(self, count: int, rng: np.random.Generator) -> list[list[tuple[int, int, float]]]:
        """Return for each event its attempts at following: how far back, which follower, how picky."""
        shape = (count, _ATTEMPTS)
        back = np.minimum(rng.geometric(1.0 - _LAST_ITEMS, shape), _FOLLOW_REACH)
        place = np.minimum(np.searchsorted(self._rank_shares, rng.random(shape)), FOLLOWERS - 1)
        picky, follows = rng.random(shape), rng.random(count) < _FOLLOW
        return [
            list(zip(back[row].tolist(), place[row].tolist(), picky[row].tolist(), strict=True)) if follows[row] else []
            for row in range(count)
        ]

    def _follow(
        self, attempts: list[tuple[int, int, float]], met: list[int], had: set[int], wanted: list[float]
    ) -> int:
        """Return the item of the first attempt that leads anywhere, -1 for none."""
        for back, place, picky in attempts:
            if back <= len(met):
                item = self._followers[met[-back]][place]
                if item not in had and picky <= wanted[item]:
                    return item
        return -1
