"""Baselines that every model has to beat, with one interface; `BASELINES` names them all."""

from model.baselines.ease import Ease
from model.baselines.item_knn import ItemKnn
from model.baselines.markov import DecayedMarkov
from model.baselines.popularity import Popularity, RecentPopularity
from model.baselines.protocol import Baseline, FittedBaseline
from model.baselines.registry import BASELINES, BaselineSetup

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
