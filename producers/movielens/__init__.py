"""MovieLens folders in their three published formats, as items and events."""

from millrace.producers.movielens.data import MovieLensData, load_movielens
from millrace.producers.movielens.users import UserFacts

__all__ = ["MovieLensData", "UserFacts", "load_movielens"]
