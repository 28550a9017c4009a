"""Which new item gets the exploration slot: a bandit that learns from what was shown and what was taken.

Each new item has a Beta posterior of being taken when it is shown. Its prior mean is what the ranking thinks of the
item for this user, scaled so that the mean over the items offered is the success rate that exploration has had so far.
The policy is a Boltzmann distribution over optimistic estimates mixed with a uniform one, so that the chance of every
choice is known in closed form and can be logged: L. Li, W. Chu, J. Langford, X. Wang, "Unbiased offline evaluation of
contextual-bandit-based news article recommendation algorithms", WSDM 2011.

The defaults were chosen on the events from 10 % to 30 % of ml-latest-small.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Names of the counts in `ExplorationPolicy.counts`: the totals, and with an item index behind a colon the item's own.
SHOWN, TAKEN = "shown", "taken"
_HASH_RANGE = 2**32


@dataclass(frozen=True, slots=True)
class ExplorationShape:
    """How fast the bandit learns and how bold it is.

    Args:
        prior_shows: Impressions that an item's prior is worth.
        first_rate: Success rate assumed before anything was shown.
        first_shows: Impressions that `first_rate` is worth.
        bonus: Standard deviations of the posterior added to its mean.
        temperature: Exponent 1 / temperature of the estimates; 1 matches probabilities, towards 0 the best is taken.
        uniform: Share of the choices made uniformly, so that every propensity has a lower bound.
        hopeless: An item is given up once this many standard deviations above its mean are below half the usual rate.
    """

    prior_shows: float = 100.0
    first_rate: float = 0.002
    first_shows: float = 500.0
    bonus: float = 1.0
    temperature: float = 0.33
    uniform: float = 0.1
    hopeless: float = 2.0


@dataclass(frozen=True, slots=True)
class Explored:
    """A choice.

    Args:
        place: Place of the item among those offered.
        item: Item index.
        chance: Probability of this choice among the items offered, 0 to 1.
    """

    place: int
    item: int
    chance: float


@dataclass(slots=True)
class ExplorationPolicy:
    """The bandit's memory and its choices; pure, so that the service and an offline evaluation share it.

    A success is an impression whose user's next event is the item shown. Counts are whole numbers: adding them up in
    any order gives the same state.

    Args:
        shape: Speed and boldness.
        counts: State, by `shown`, `taken`, `shown:<item>`, `taken:<item>`; may be given to continue from.
        asked: Items offered since this set was last replaced; their counts are worth refreshing.
    """

    shape: ExplorationShape = field(default_factory=ExplorationShape)
    counts: dict[str, int] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)

    def shown(self, item: int, times: int = 1) -> None:
        """Count impressions of an explored item."""
        self._add(shown_counts(item), times)

    def taken(self, item: int, times: int = 1) -> None:
        """Count impressions that were followed by an event on the item."""
        self._add(taken_counts(item), times)

    def load(self, counts: Mapping[str, int]) -> None:
        """Replace counts by those given; others stay."""
        self.counts.update(counts)

    @property
    def rate(self) -> float:
        """Share of impressions that were followed by an event on the item, pulled towards the first guess."""
        shape = self.shape
        taken = self.counts.get(TAKEN, 0) + shape.first_rate * shape.first_shows
        return taken / (self.counts.get(SHOWN, 0) + shape.first_shows)

    def worth_showing(self, items: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return for each item whether it may still succeed: False once its posterior rules it out."""
        shown, taken = self._counts_of(items)
        mean, spread = self._posterior(np.full(len(items), self.rate), shown, taken)
        return np.asarray(mean + self.shape.hopeless * spread >= 0.5 * self.rate)

    def chances(self, items: NDArray[np.int32], scores: NDArray[np.floating]) -> Floats:  # type: ignore[type-arg]
        """Return [K] the probability of each choice; they sum to 1.

        Args:
            items: [K] item indexes, K >= 1.
            scores: [K] log odds of the items for this user, up to a constant.
        """
        shape = self.shape
        shown, taken = self._counts_of(items)
        relative = np.exp(scores.astype(np.float64) - float(scores.max()))
        prior = np.minimum(self.rate * len(items) * relative / relative.sum(), 0.5)
        mean, spread = self._posterior(prior, shown, taken)
        hopes = (mean + shape.bonus * spread) ** (1.0 / shape.temperature)
        return np.asarray((1.0 - shape.uniform) * hopes / hopes.sum() + shape.uniform / len(items))

    def choose(
        self,
        items: NDArray[np.int32],
        scores: NDArray[np.floating],  # type: ignore[type-arg]
        draw: float,
    ) -> Explored | None:
        """Return the item to show, or None if none is worth it.

        Args:
            items: [K] new items that may be shown.
            scores: [K] log odds of the items for this user, up to a constant.
            draw: A uniform number, 0 <= draw < 1; the same arguments and counts give the same choice.
        """
        self.asked.update(items.tolist())
        places = np.flatnonzero(self.worth_showing(items))
        if not len(places):
            return None
        chances = self.chances(items[places], scores[places])
        chosen = min(int(np.searchsorted(np.cumsum(chances), draw, side="right")), len(places) - 1)
        return Explored(int(places[chosen]), int(items[places[chosen]]), float(chances[chosen]))

    def _posterior(self, prior: Floats, shown: Floats, taken: Floats) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of Beta(prior_shows * prior + taken, the rest)."""
        trials = self.shape.prior_shows + shown
        mean = (self.shape.prior_shows * prior + taken) / trials
        return mean, np.sqrt(mean * (1.0 - mean) / (trials + 1.0))

    def _counts_of(self, items: NDArray[np.int32]) -> tuple[Floats, Floats]:
        listed = items.tolist()
        shown = [self.counts.get(f"{SHOWN}:{item}", 0) for item in listed]
        taken = [self.counts.get(f"{TAKEN}:{item}", 0) for item in listed]
        return np.array(shown, np.float64), np.array(taken, np.float64)

    def _add(self, names: Iterable[str], times: int) -> None:
        for name in names:
            self.counts[name] = self.counts.get(name, 0) + times


def shown_counts(item: int) -> tuple[str, str]:
    """Return the names of the counts that an impression of an item adds to."""
    return SHOWN, f"{SHOWN}:{item}"


def taken_counts(item: int) -> tuple[str, str]:
    """Return the names of the counts that a success of an item adds to."""
    return TAKEN, f"{TAKEN}:{item}"


def draws(recommendation_id: str) -> tuple[float, float]:
    """Return two uniform numbers in [0, 1) that an id decides: whether to explore, and what."""
    digest = blake2b(recommendation_id.encode(), digest_size=8).digest()
    first, second = int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")
    return first / _HASH_RANGE, second / _HASH_RANGE
