"""Runs a search in one or several processes that share a study."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from millrace.kernel.errors import FatalError
from millrace.model.tuning.objective import MakeSystem
from millrace.model.tuning.search import Budget, Found, Search
from millrace.model.tuning.space import SEARCH_SPACE, Space
from millrace.model.tuning.warm_up import WarmUpStream

_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """Options of a search.

    Args:
        work: Folder of the study.
        trials: Finished trials after which the study ends, including those of earlier runs.
        budget_s: Wall-clock budget of this run, in seconds.
        jobs: Number of processes.
        seed: Seed of the sampler.
    """

    work: Path
    trials: int
    budget_s: float
    jobs: int = 1
    seed: int = 0


def search(
    stream: WarmUpStream,
    make: MakeSystem,
    options: SearchOptions,
    space: Space = SEARCH_SPACE,
    progress: Callable[[int], None] = lambda finished: None,
) -> Found:
    """Run a search in this process, or in several spawned ones.

    Args:
        stream: Training and warm-up events.
        make: Returns a new system for a configuration and a stream. A module-level function, since spawned processes
            import it by name.
        options: Budget, folder and processes.
        space: Hyperparameters to search.
        progress: Called with the number of finished trials: after each trial with one process, else twice a second.

    Returns:
        The best configuration of the study.

    Raises:
        ConfigurationError: The folder cannot be used, or no trial was completed.
        FatalError: All processes failed.
    """
    began = time.monotonic()
    own = Search(options.work, stream, space, options.seed)
    own.begin()
    if options.jobs == 1:
        own.run(make, Budget(options.trials, began + options.budget_s), progress)
        return own.found()
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_work, args=(stream, make, options, space, number), daemon=True)
        for number in range(options.jobs)
    ]
    for worker in workers:
        worker.start()
    try:
        while any(worker.is_alive() for worker in workers):
            next(worker for worker in workers if worker.is_alive()).join(_POLL_S)
            progress(own.finished)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    if all(worker.exitcode for worker in workers):
        raise FatalError("Every process of the search failed; run it with --jobs 1 to see why.")
    return own.found()


def _work(stream: WarmUpStream, make: MakeSystem, options: SearchOptions, space: Space, number: int) -> None:
    """Run trials of the study; the entry point of a spawned process."""
    budget = Budget(options.trials, time.monotonic() + options.budget_s)
    Search(options.work, stream, space, options.seed + number).run(make, budget)
