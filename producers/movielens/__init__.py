"""MovieLens folders in their three published formats, as items and events."""

from producers.movielens.data import MovieLensData, load_movielens

__all__ = ["MovieLensData", "load_movielens"]
