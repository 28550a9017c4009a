"""`python -m millrace.producers.synthetic FOLDER SIZES`: write a data set with ml-1m's format and density.

SIZES is spelt as in `millrace replay --synthetic`: users=943,items=1682,events=100000,seed=1.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from millrace.kernel.errors import ConfigurationError
from millrace.producers.synthetic.options import parse_synthetic
from millrace.producers.synthetic.world import make_world
from millrace.producers.synthetic.write import write_folder


def main(argv: Sequence[str] | None = None) -> None:
    """Make and write."""
    parser = argparse.ArgumentParser(
        prog="python -m millrace.producers.synthetic",
        description="Write a synthetic data set with ml-1m's format and density.",
    )
    parser.add_argument("folder", type=Path, help="where to write ratings.dat, movies.dat and users.dat")
    parser.add_argument("sizes", nargs="?", default="", help="such as users=943,items=1682,events=100000,seed=1")
    given = parser.parse_args(argv)
    try:
        options = parse_synthetic(given.sizes)
        world = make_world(options)
    except ConfigurationError as error:
        parser.error(str(error))
    write_folder(world, given.folder)
    sys.stdout.write(f"Wrote {options.events} ratings of {options.users} users to {given.folder}\n")


if __name__ == "__main__":
    main()
