"""Synthetic activity from a seed: an unbounded stream for load, and a data set with the density of ml-1m.

The stream (`stream.py`) needs the base install. The data set (`world.py`, written by
`python -m millrace.producers.synthetic`) needs NumPy. Both take the same options.
"""

from millrace.producers.synthetic.options import SyntheticOptions, parse_synthetic
from millrace.producers.synthetic.stream import SyntheticStream

__all__ = ["SyntheticOptions", "SyntheticStream", "parse_synthetic"]
