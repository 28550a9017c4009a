"""Baselines that every model has to beat, learning event by event like it."""

from model.baselines.markov import DecayedMarkov
from model.baselines.popularity import Popularity, RecentPopularity
from model.baselines.protocol import Baseline

__all__ = ["Baseline", "DecayedMarkov", "Popularity", "RecentPopularity"]
