"""Baselines that every model has to beat, with one interface; `BASELINES` names them all."""

from millrace.model.baselines.ease import Ease
from millrace.model.baselines.item_knn import ItemKnn
from millrace.model.baselines.markov import DecayedMarkov
from millrace.model.baselines.popularity import Popularity, RecentPopularity
from millrace.model.baselines.protocol import Baseline, FittedBaseline
from millrace.model.baselines.registry import BASELINES, BaselineSetup

__all__ = [
    "BASELINES",
    "Baseline",
    "BaselineSetup",
    "DecayedMarkov",
    "Ease",
    "FittedBaseline",
    "ItemKnn",
    "Popularity",
    "RecentPopularity",
]
