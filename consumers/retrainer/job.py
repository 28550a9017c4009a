"""One training in a process of its own: `python -m consumers.retrainer.job [--parent VERSION] --seed N`.

Its memory goes back when it ends, and it can be killed at any moment: a version appears in the registry complete or
not at all. Progress and result are lines of JSON on stdout; everything else goes to stderr.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millrace.config import Settings
    from model.dataset.events import TrainingData

# Recommendations are worth more than a sooner next version.
NICENESS = 10
_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Train one version; returns the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    os.nice(NICENESS)
    # Libraries print to stdout at will: only what `_tell` writes may arrive there.
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    from millrace.errors import MillraceError

    def tell(**line: object) -> None:
        lines.write(json.dumps(line) + "\n")

    try:
        tell(version=_train(options.parent, options.seed, lambda phase, share: tell(phase=phase, fraction=share)))
    except MillraceError as error:
        tell(error=str(error))
        return _FAILED
    return 0


def _train(parent: str | None, seed: int, progress: Callable[[str, float], None]) -> str:
    """Read the log, train, publish; returns the version's name."""
    progress("read", 0.0)
    from millrace.config import load_settings
    from model.registry import Registry
    from model.training.jobs import train_and_publish

    settings = load_settings()
    registry = Registry(settings.registry_dir)
    before = registry.get(parent) if parent else None
    data = asyncio.run(_read(settings, before.card.position if before else {}))
    return train_and_publish(data, registry, before, seed, progress).name


async def _read(settings: "Settings", learned: Mapping[int, int]) -> "TrainingData":
    from consumers.event_log import open_event_log
    from model.training.jobs import read_log
    from streams.store.stores import open_stores

    log = open_event_log(settings)
    try:
        async with open_stores(settings) as stores:
            return await read_log(log, stores.catalogue, settings.event_policy, learned)
    finally:
        log.close()


if __name__ == "__main__":
    sys.exit(main())
