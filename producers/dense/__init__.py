"""A synthetic folder in ml-1m's format: few items, many events per user, one-day sessions with equal seconds."""

from millrace.producers.dense.options import DenseOptions
from millrace.producers.dense.world import World, make_world
from millrace.producers.dense.write import write_folder

__all__ = ["DenseOptions", "World", "make_world", "write_folder"]
