"""`python -m millrace.producers.dense FOLDER`: write a synthetic data set with ml-1m's format and density."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from millrace.kernel.errors import ConfigurationError
from millrace.producers.dense import DenseOptions, make_world, write_folder


def main(argv: Sequence[str] | None = None) -> None:
    """Make and write."""
    usual = DenseOptions()
    parser = argparse.ArgumentParser(prog="python -m millrace.producers.dense", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=usual.events, help="ratings in total")
    parser.add_argument("--users", type=int, default=usual.users)
    parser.add_argument("--items", type=int, default=usual.items)
    parser.add_argument("--seed", type=int, default=usual.seed)
    given = parser.parse_args(argv)
    try:
        options = DenseOptions(given.events, given.users, given.items, given.seed)
    except ConfigurationError as error:
        parser.error(str(error))
    write_folder(make_world(options), given.folder)
    sys.stdout.write(f"Wrote {options.events} ratings of {options.users} users to {given.folder}\n")


if __name__ == "__main__":
    main()
