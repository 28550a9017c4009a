"""Every baseline by its name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from model.baselines.ease import Ease
from model.baselines.item_knn import ItemKnn
from model.baselines.markov import DecayedMarkov
from model.baselines.popularity import Popularity, RecentPopularity
from model.baselines.protocol import Baseline


@dataclass(frozen=True, slots=True)
class BaselineSetup:
    """What a baseline is made from.

    Args:
        size: Item indexes are below this at first.
        seed: Of initial weights.
    """

    size: int
    seed: int = 0


BASELINES: Mapping[str, Callable[[BaselineSetup], Baseline]] = {
    "popularity": lambda setup: Popularity(setup.size),
    "recent_popularity": lambda setup: RecentPopularity(setup.size),
    "markov": lambda setup: DecayedMarkov(setup.size),
    "item_knn": lambda setup: ItemKnn(setup.size),
    "ease": lambda setup: Ease(setup.size),
}
