"""The baselines by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from millrace.model.baselines.baseline import Baseline
from millrace.model.baselines.ease import Ease
from millrace.model.baselines.item_knn import ItemKnn
from millrace.model.baselines.markov import DecayedMarkov
from millrace.model.baselines.matrix_factorisation import MatrixFactorisation
from millrace.model.baselines.ncf import Ncf
from millrace.model.baselines.popularity import AllTimePopularity, RecentPopularity
from millrace.model.baselines.sasrec import Sasrec


@dataclass(frozen=True, slots=True)
class BaselineSetup:
    """The arguments of a baseline's factory.

    Args:
        size: Initial number of scores; item indexes from this on are added when they occur.
        seed: Seed of the initial weights.
    """

    size: int
    seed: int = 0


BASELINES: Mapping[str, Callable[[BaselineSetup], Baseline]] = {
    "popularity": lambda setup: AllTimePopularity(setup.size),
    "recent_popularity": lambda setup: RecentPopularity(setup.size),
    "markov": lambda setup: DecayedMarkov(setup.size),
    "item_knn": lambda setup: ItemKnn(setup.size),
    "ease": lambda setup: Ease(setup.size),
    "mf": lambda setup: MatrixFactorisation(setup.size, setup.seed),
    "ncf": lambda setup: Ncf(setup.size, setup.seed),
    "sasrec": lambda setup: Sasrec(setup.size, setup.seed),
}
