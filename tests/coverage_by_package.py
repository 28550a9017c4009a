"""Prints line and branch coverage per package: `python -m tests.coverage_by_package`, after a run with `--cov`.

Compiled kernels run outside the interpreter, so their lines count as missed: streams.ranking and streams.statistics are
better covered than the table says.
"""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePath

from rich.console import Console
from rich.table import Table

_COUNTS = ("num_statements", "covered_lines", "num_branches", "covered_branches")


def package_of(path: str) -> str:
    """Return the package that a file is listed under: its folder, two levels deep below `millrace/`, else one."""
    folders = PurePath(path).parts[:-1]
    depth = 3 if folders[:1] == ("millrace",) else 2
    return "/".join(folders[:depth])


def by_package(files: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Return the sums of the counts of each package, in the order of their names."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_COUNTS, 0))
    for path, counts in files.items():
        for name in _COUNTS:
            sums[package_of(path)][name] += counts.get(name, 0)
    return dict(sorted(sums.items()))


def total(packages: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sums over all packages."""
    rows = list(packages)
    return {name: sum(row[name] for row in rows) for name in _COUNTS}


def _share(covered: int, all_: int) -> str:
    return f"{100 * covered / all_:.1f} %" if all_ else "-"


def main() -> None:
    """Read the newest measurement and print the table."""
    command = [sys.executable, "-m", "coverage", "json", "-q", "-o", "-"]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    packages = by_package({path: file["summary"] for path, file in json.loads(written)["files"].items()})
    table = Table("package")
    for heading in ("statements", "lines", "branches"):
        table.add_column(heading, justify="right")
    for name, counts in [*packages.items(), ("all", total(packages.values()))]:
        table.add_row(
            name,
            f"{counts['num_statements']:,}",
            _share(counts["covered_lines"], counts["num_statements"]),
            _share(counts["covered_branches"], counts["num_branches"]),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
