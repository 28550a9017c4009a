"""The search itself: an Optuna study in a work folder, which any number of processes may join, now or later.

T. Akiba et al., "Optuna: a next-generation hyperparameter optimization framework", KDD 2019; trials are proposed by a
tree-structured Parzen estimator and given up after a slice of the warm-up where they are worse than most at that point.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from millrace.kernel.errors import ConfigurationError
from millrace.model.configuration import ModelConfiguration
from millrace.model.tuning.objective import MakeSystem, ndcg_on_warm_up
from millrace.model.tuning.space import Space, configuration_of, default_parameters, suggested
from millrace.model.tuning.warm_up import WarmUpStream

JOURNAL = "journal.log"
# Random trials before the estimator has anything to go by; and trials that nobody is compared with.
_RANDOM_TRIALS = 8
_UNPRUNED_TRIALS = 4
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
_IS_DEFAULT = "default"


class OutOfTimeError(Exception):
    """The budget is used up in the middle of a trial, which then counts for nothing."""


@dataclass(frozen=True, slots=True)
class Budget:
    """When a search ends.

    Args:
        trials: Finished trials of the study, those of earlier runs and other processes included.
        deadline_s: `time.monotonic()` after which nothing is begun and what runs is given up.
    """

    trials: int
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a search.

    Args:
        configuration: The best one.
        ndcg: Its NDCG@10 on the warm-up; optimistic, since it was chosen there.
        default_ndcg: That of the defaults on the same events; None if they were not tried to the end.
        complete: Trials run to the end.
        pruned: Trials given up.
        seconds: Wall-clock seconds of all trials together.
    """

    configuration: ModelConfiguration
    ndcg: float
    default_ndcg: float | None
    complete: int
    pruned: int
    seconds: float


class Search:
    """One study.

    Args:
        work: Folder of the journal; made if need be.
        stream: Training and warm-up; the study belongs to exactly these events.
        space: What is tried.
        seed: Of the proposals; processes that join should differ in it.
    """

    def __init__(self, work: Path, stream: WarmUpStream, space: Space, seed: int = 0) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            work.mkdir(parents=True, exist_ok=True)
            storage = JournalStorage(JournalFileBackend(str(work / JOURNAL)))
        except OSError as error:
            raise ConfigurationError(f"The work folder {work} cannot be used: {error.strerror}.") from None
        self._stream = stream
        self._space = space
        self.study = optuna.create_study(
            storage=storage,
            study_name=stream.fingerprint,
            direction="maximize",
            sampler=TPESampler(seed=seed, n_startup_trials=_RANDOM_TRIALS),
            pruner=MedianPruner(n_startup_trials=_UNPRUNED_TRIALS),
            load_if_exists=True,
        )

    def begin(self) -> None:
        """Put the defaults first, once in the life of the study; before other processes join."""
        if not self.study.get_trials(deepcopy=False):
            self.study.enqueue_trial(default_parameters(self._space), user_attrs={_IS_DEFAULT: True})

    @property
    def finished(self) -> int:
        """Trials run to the end or given up."""
        return len(self.study.get_trials(deepcopy=False, states=_FINISHED))

    def run(self, make: MakeSystem, budget: Budget, progress: Callable[[int], None] = lambda finished: None) -> None:
        """Try configurations until the budget is used up.

        Args:
            make: Makes a fresh system of a configuration.
            budget: When to end.
            progress: Called with the number of finished trials after each.

        Raises:
            MillraceError: A trial cannot be run at all.
        """

        def objective(trial: optuna.Trial) -> float:
            def after_slice(number: int, ndcg: float) -> None:
                trial.report(ndcg, number)
                if time.monotonic() > budget.deadline_s:
                    raise OutOfTimeError
                # The defaults are what everything is compared with.
                if not trial.user_attrs.get(_IS_DEFAULT) and trial.should_prune():
                    raise optuna.TrialPruned

            return ndcg_on_warm_up(suggested(trial, self._space), self._stream, make, after_slice)

        while self.finished < budget.trials and time.monotonic() < budget.deadline_s:
            self.study.optimize(objective, n_trials=1, catch=(OutOfTimeError,))
            progress(self.finished)

    def found(self) -> Found:
        """Return the best configuration so far.

        Raises:
            ConfigurationError: No trial was run to the end.
        """
        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not complete:
            raise ConfigurationError("No trial was finished within the budget; give the search more time.")
        best = self.study.best_trial
        default = next((trial for trial in complete if trial.user_attrs.get(_IS_DEFAULT)), None)
        ended = self.study.get_trials(deepcopy=False, states=_FINISHED)
        return Found(
            configuration=configuration_of(best.params, self._space),
            ndcg=float(best.value or 0.0),
            default_ndcg=default.value if default else None,
            complete=len(complete),
            pruned=len(ended) - len(complete),
            seconds=sum(_seconds(trial) for trial in ended),
        )


def _seconds(trial: FrozenTrial) -> float:
    return trial.duration.total_seconds() if trial.duration else 0.0
