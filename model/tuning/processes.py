"""Several processes on one study."""

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
    """A search.

    Args:
        work: Folder of the study.
        trials: Finished trials wanted in all.
        budget_s: Wall-clock seconds of this run.
        jobs: Processes.
        seed: Of the proposals.
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
    """Search, in this process or in several.

    Args:
        stream: Training and warm-up.
        make: Makes a fresh system; a function of a module, so that a new process finds it.
        options: How long, where.
        space: What is tried.
        progress: Called with the number of finished trials now and then.

    Raises:
        FatalError: A process failed.
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
    """Join the study; a process of its own."""
    budget = Budget(options.trials, time.monotonic() + options.budget_s)
    Search(options.work, stream, space, options.seed + number).run(make, budget)
