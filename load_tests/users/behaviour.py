"""What simulated people do next: pure, and repeatable from a seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from millrace.kernel.contracts.event import RATING

# Of ten acts on a list seven are looks at an item; the others follow from having liked or disliked it.
_ACTS = {"view": 7.0, "like": 1.5, "purchase": 1.0, "dislike": 0.5}
# People look at the top of a list: place r is chosen with weight 1 / r.
_PLACES = tuple(1.0 / rank for rank in range(1, 101))
_STARS = tuple(half / 2 for half in range(1, 11))


@dataclass(frozen=True, slots=True)
class Act:
    """One thing a person does.

    Args:
        type: `rating` or another configured type.
        item_id: To what.
        value: The rating; None for other types.
    """

    type: str
    item_id: str
    value: float | None = None


class Behaviour(Protocol):
    """Decides what a person does next."""

    def next(self, shown: Sequence[str]) -> Act:
        """Return the next act, given the list the person was last shown (empty at first)."""
        ...


@dataclass(slots=True)
class Rater:
    """Gives the ratings that someone gave in the data, in their order, and from the beginning again at the end.

    Args:
        ratings: At least one.
    """

    ratings: Sequence[Act]
    _position: int = 0

    def next(self, shown: Sequence[str]) -> Act:
        """Return the next rating, whatever is shown."""
        act = self.ratings[self._position % len(self.ratings)]
        self._position += 1
        return act


@dataclass(slots=True)
class Browser:
    """Acts on what is shown: mostly looks, sometimes likes, buys or dislikes; the first act is on any item.

    Args:
        item_ids: The catalogue.
        types: The event types of the installation; without any of a browser's the person rates.
        rng: Source of chance.
    """

    item_ids: Sequence[str]
    types: Sequence[str]
    rng: random.Random
    _types: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self._types = [name for name in _ACTS if name in self.types]

    def next(self, shown: Sequence[str]) -> Act:
        """Return an act on one of the shown items, one further up more often."""
        item_id = self.rng.choices(shown, _PLACES[: len(shown)])[0] if shown else self.rng.choice(self.item_ids)
        if not self._types:
            return Act(RATING, item_id, self.rng.choice(_STARS))
        return Act(self.rng.choices(self._types, [_ACTS[name] for name in self._types])[0], item_id)
