"""Trainings in a process of their own: `python -m millrace.consumers.retrainer.job [--parent VERSION]`.

Each line on stdin, {"refresh": "due" | "all"}, asks for one training; progress and results are lines of JSON on
stdout, everything else goes to stderr. A failure is a line as well, and says whether it is transient: a server is away.
The process stays between trainings: statistics and network are in its memory, so a training costs what is new, not the
whole log. It can be killed at any moment: a version appears in the registry complete or not at all, and another
process begins again from the log.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millrace.model.learning.training import Training

# Recommendations are worth more than a sooner next version.
NICENESS = 19
_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as often as asked; returns the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent")
    options = parser.parse_args(arguments)
    os.nice(NICENESS)
    # Libraries print to stdout at will: only what `tell` writes may arrive there.
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    from millrace.kernel.errors import MillraceError, TransientError

    def tell(**line: object) -> None:
        lines.write(json.dumps(line) + "\n")

    try:
        job = None
        for line in sys.stdin:
            tell(phase="read", fraction=0.0)
            job = job or _Job(options.parent, lambda phase, share: tell(phase=phase, fraction=share))
            tell(version=job.train(json.loads(line)["refresh"]))
    except MillraceError as error:
        tell(error=str(error), transient=isinstance(error, TransientError))
        return _FAILED
    return 0


class _Job:
    """Reads what is new in the log and trains.

    Args:
        parent: Version to go on from.
        progress: Told phase and share.
    """

    def __init__(self, parent: str | None, progress: Callable[[str, float], None]) -> None:
        from millrace.consumers.retrainer.log_reader import LogReader
        from millrace.kernel.settings import load_settings
        from millrace.model.configuration import read_configuration
        from millrace.model.registry import Registry

        settings = load_settings()
        self._configuration = read_configuration(settings.model_configuration)
        self._source = LogReader(settings)
        self._registry = Registry(settings.registry_dir)
        self._parent = self._registry.get(parent) if parent else None
        self._progress = progress
        self._training: Training | None = None

    def train(self, refresh: str) -> str:
        """Train one version; returns its name."""
        from millrace.model.learning.training import Refresh, Training

        news = asyncio.run(self._source.read())
        if self._training is None:
            self._training = Training(
                news.items, self._registry, self._parent, self._configuration, progress=self._progress
            )
        self._training.update_items(news.items)
        self._training.add(news.events)
        return self._training.train(Refresh(refresh), self._source.position).name


if __name__ == "__main__":
    sys.exit(main())
