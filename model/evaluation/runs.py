"""Evaluates systems on a stream, in one process or several, and resumes from checkpoints."""

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import cache, partial
from hashlib import blake2b
from multiprocessing.sharedctypes import SynchronizedArray
from pathlib import Path
from typing import Protocol

import millrace.model
import millrace.streams
from millrace.model.evaluation.checkpoints import Checkpoints
from millrace.model.evaluation.diversity import DiverseLists, DiversityObserver
from millrace.model.evaluation.grading import GradingRun, ListObserver, ListTiming, continue_grading
from millrace.model.evaluation.leaks import LeakProbe
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.outcomes import SystemOutcomes
from millrace.model.evaluation.past import PastEvents
from millrace.model.evaluation.split import Split, check_learnable
from millrace.model.evaluation.system import System
from millrace.model.recorded_stream import RecordedStream, load_stream

_POLL_S = 0.25

SystemProgress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Result:
    """The evaluation of one system.

    Args:
        outcomes: On the graded events.
        leaks: Findings of the leak checks.
        diverse: Its lists at other diversity weights, if requested.
    """

    outcomes: SystemOutcomes
    leaks: tuple[str, ...]
    diverse: DiverseLists | None = None


@dataclass(frozen=True, slots=True)
class ListObservers:
    """All observers of one evaluation.

    Args:
        leaks: Checks whether a feature knows the answer.
        diversity: Makes each list again at other diversity weights.
    """

    leaks: LeakProbe
    diversity: DiversityObserver

    def observe(self, system: System, target: int) -> None:
        """Forward to each observer."""
        self.leaks.observe(system, target)
        self.diversity.observe(system, target)


class MakeSystem(Protocol):
    """Returns a fresh system by name; must be a module-level function, so that child processes can import it."""

    def __call__(self, name: str, stream: RecordedStream, split: Split, options: EvaluateOptions) -> System:
        """Return the system; it can read `stream.events` up to the current event only."""
        ...


def split_of(stream: RecordedStream, options: EvaluateOptions) -> Split:
    """Return the parts of the stream.

    Raises:
        ConfigurationError: Nothing is left to grade, or too little to learn from.
    """
    split = Split.of(len(stream.events), options.training, options.warm_up, options.events)
    check_learnable(split)
    return split


def run_one(
    name: str, stream: RecordedStream, options: EvaluateOptions, make: MakeSystem, progress: Callable[[float], None]
) -> Result:
    """Grade one system.

    Args:
        name: Name of the system.
        stream: The events and the catalogue.
        options: Split, list timing, checkpoints.
        make: Returns the system for a name.
        progress: Called with the share that is done, 0 to 1.
    """
    split = split_of(stream, options)
    past = PastEvents(stream.events)
    shared = {"events": stream.events, "past": past, "catalogue": stream.catalogue}
    replay, checkpoints = None, None
    if options.work is not None:
        checkpoints = Checkpoints(options.work / name, identity_of(name, stream, options), shared)
        kept = checkpoints.load() if options.resume else None
        if isinstance(kept, Result):
            return kept
        replay = kept
    if replay is None:
        system = make(name, replace(stream, events=past), split, options)
        replay = GradingRun(system, observer=_observers(stream, split, options))
    outcomes = continue_grading(past, replay, split, options.moment, progress, checkpoints)
    result = _result(outcomes, replay.observer)
    if checkpoints is not None:
        checkpoints.save(result)
    return result


def run_all(
    names: Sequence[str], stream: RecordedStream, options: EvaluateOptions, make: MakeSystem, progress: SystemProgress
) -> dict[str, Result]:
    """Grade systems in up to `options.parallel` processes; the figures do not depend on their number.

    Args:
        names: Names of the systems, the slowest first.
        stream: What `load_stream` returns for these options.
        options: As for `run_one`.
        make: Returns the system for a name.
        progress: Called with a system's name and the share that is done.
    """
    if options.parallel == 1 or len(names) < 2:
        return {name: run_one(name, stream, options, make, partial(progress, name)) for name in names}
    context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    shares: SynchronizedArray[float] = context.Array("d", len(names))
    workers = min(options.parallel, len(names))
    with ProcessPoolExecutor(workers, context, _share_progress, (shares,)) as pool:
        running = {name: pool.submit(_run_elsewhere, place, name, options, make) for place, name in enumerate(names)}
        try:
            _follow(running, shares, progress)
            return {name: future.result() for name, future in running.items()}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _follow(
    running: Mapping[str, "Future[Result]"], shares: "SynchronizedArray[float]", progress: SystemProgress
) -> None:
    """Report the progress of each system until all are done or one has failed."""
    waiting = set(running.values())
    while waiting:
        done, waiting = wait(waiting, timeout=_POLL_S)
        for future in done:
            future.result()
        for place, name in enumerate(running):
            progress(name, shares[place])


_shares: "SynchronizedArray[float] | None" = None


def _share_progress(shares: "SynchronizedArray[float]") -> None:
    """Remember the shared array that this child process writes its progress to."""
    global _shares
    _shares = shares


def _run_elsewhere(place: int, name: str, options: EvaluateOptions, make: MakeSystem) -> Result:
    def progress(share: float) -> None:
        if _shares is not None:
            _shares[place] = share

    assert options.path is not None  # noqa: S101 - the protocol has read it
    return run_one(name, _stream(options.path, options.seed), options, make, progress)


@cache
def _stream(path: Path, seed: int) -> RecordedStream:
    return load_stream(path, seed)


def _observers(stream: RecordedStream, split: Split, options: EvaluateOptions) -> ListObservers:
    graded = split.stop - split.graded
    # A list made after the previous event would be compared with lists made later.
    settings = options.diversities if options.moment is ListTiming.ON_REQUEST else ()
    return ListObservers(LeakProbe(int(stream.catalogue.available.sum()), graded), DiversityObserver(settings, graded))


def _result(outcomes: SystemOutcomes, observer: ListObserver | None) -> Result:
    if not isinstance(observer, ListObservers):
        return Result(outcomes, ())
    return Result(outcomes, observer.leaks.findings(outcomes), observer.diversity.lists())


def identity_of(name: str, stream: RecordedStream, options: EvaluateOptions) -> str:
    """Return a text of everything that a system's figures depend on: data, options, code."""
    asked = replace(options, work=None, resume=False, parallel=1, baselines=(), path=None)
    last = stream.events[-1].event_id
    return f"{name} of {len(stream.events)} events to {last}, {len(stream.catalogue)} items: {asked}, {_code()}"


@cache
def _code() -> str:
    """Return a digest of the code; a checkpoint of other code is refused."""
    digest = blake2b(digest_size=16)
    for package in (millrace.model, millrace.streams):
        for path in sorted(Path(next(iter(package.__path__))).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
