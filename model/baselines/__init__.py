"""Baseline recommenders with a common interface; `BASELINES` maps their names to factories."""

from millrace.model.baselines.baseline import Baseline, FittedBaseline
from millrace.model.baselines.by_name import BASELINES, BaselineSetup
from millrace.model.baselines.ease import Ease
from millrace.model.baselines.item_knn import ItemKnn
from millrace.model.baselines.markov import DecayedMarkov
from millrace.model.baselines.popularity import AllTimePopularity, RecentPopularity

__all__ = [
    "BASELINES",
    "Baseline",
    "BaselineSetup",
    "DecayedMarkov",
    "Ease",
    "FittedBaseline",
    "ItemKnn",
    "AllTimePopularity",
    "RecentPopularity",
]
