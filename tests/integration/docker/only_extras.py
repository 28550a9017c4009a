"""Run `millrace` with the libraries of some extras alone, as in an image: `only_extras.py EXTRA,EXTRA COMMAND ...`.

What else is installed cannot be imported. A role that needs a library its image lacks therefore fails here as it would
there, also when it imports the library late.
"""

import importlib.abc
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
# What every environment of Python 3.11 holds.
BASE = {"pip", "setuptools", "packaging"}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    """Yield what a distribution requires; the project's own requirements are read from its file."""
    if name == PROJECT["name"]:
        lines = [*PROJECT["dependencies"], *(line for e in extras for line in PROJECT["optional-dependencies"][e])]
        yield from map(Requirement, lines)
        return
    for requirement in map(Requirement, importlib.metadata.requires(name) or []):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""})):
            yield requirement


def closure(extras: frozenset[str]) -> set[str]:
    """Return the names of all distributions that come with the project and these extras."""
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = [(str(PROJECT["name"]), extras)]
    while waiting:
        name, wanted = waiting.pop()
        if (normalised(name), wanted) in found:
            continue
        found.add((normalised(name), wanted))
        waiting += [(one.name, frozenset(one.extras)) for one in required(name, wanted)]
    return {name for name, _ in found}


class Missing(importlib.abc.MetaPathFinder):
    """Finds nothing of what an image does not hold."""

    def __init__(self, allowed: set[str]) -> None:
        owners = importlib.metadata.packages_distributions()
        self._hidden = {
            module for module, names in owners.items() if not {normalised(name) for name in names} & (allowed | BASE)
        }

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self._hidden:
            raise ModuleNotFoundError(f"No module named {name!r} in this image", name=name)


def main() -> None:
    extras, *arguments = sys.argv[1:]
    sys.meta_path.insert(0, Missing(closure(frozenset(extras.split(",")))))
    sys.argv = ["millrace", *arguments]
    from millrace.apps.cli import main as millrace

    millrace()


if __name__ == "__main__":
    main()
