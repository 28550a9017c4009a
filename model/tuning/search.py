"""Hyperparameter search with Optuna; several processes can share a study, and later runs can continue it.

The sampler is a tree-structured Parzen estimator. After each slice of the warm-up, the median pruner ends a trial whose
NDCG@10 is below the median of earlier trials at that slice.

T. Akiba et al., "Optuna: a next-generation hyperparameter optimization framework", KDD 2019.
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
# Random trials before the sampler uses its estimator, and finished trials before the pruner ends any.
_RANDOM_TRIALS = 8
_UNPRUNED_TRIALS = 4
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
_IS_DEFAULT = "default"


class OutOfTimeError(Exception):
    """The deadline passed in the middle of a trial; the trial counts as failed, not as finished."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of a search.

    Args:
        trials: Finished trials after which the study ends, including those of earlier runs and other processes.
        deadline_s: `time.monotonic()` value, in seconds, after which no trial starts; a running trial is aborted at its
            next slice.
    """

    trials: int
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a search.

    Args:
        configuration: The best configuration.
        ndcg: Its NDCG@10 on the warm-up; biased upwards, since the configuration was selected on it.
        default_ndcg: NDCG@10 of the default configuration on the same events; None if its trial was not completed.
        complete: Number of completed trials.
        pruned: Number of pruned trials.
        seconds: Sum of the wall-clock seconds of completed and pruned trials.
    """

    configuration: ModelConfiguration
    ndcg: float
    default_ndcg: float | None
    complete: int
    pruned: int
    seconds: float


class Search:
    """An Optuna study, stored in a journal file.

    Args:
        work: Folder of the journal; created if missing.
        stream: Training and warm-up events; the study is named after their fingerprint.
        space: Hyperparameters to search.
        seed: Seed of the sampler; each process should use its own.

    Raises:
        ConfigurationError: The folder cannot be used.
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
        """Enqueue the default configuration as the first trial of a new study.

        Call it before other processes join the study.
        """
        if not self.study.get_trials(deepcopy=False):
            self.study.enqueue_trial(default_parameters(self._space), user_attrs={_IS_DEFAULT: True})

    @property
    def finished(self) -> int:
        """Number of completed and pruned trials in the study."""
        return len(self.study.get_trials(deepcopy=False, states=_FINISHED))

    def run(self, make: MakeSystem, budget: Budget, progress: Callable[[int], None] = lambda finished: None) -> None:
        """Run trials until the budget is used up.

        Args:
            make: Returns a new system for a configuration and a stream.
            budget: Limits of the search.
            progress: Called with the number of finished trials after each trial.

        Raises:
            MillraceError: A trial failed.
        """

        def objective(trial: optuna.Trial) -> float:
            def after_slice(number: int, ndcg: float) -> None:
                trial.report(ndcg, number)
                if time.monotonic() > budget.deadline_s:
                    raise OutOfTimeError
                # The defaults are the reference, so their trial is never pruned.
                if not trial.user_attrs.get(_IS_DEFAULT) and trial.should_prune():
                    raise optuna.TrialPruned

            return ndcg_on_warm_up(suggested(trial, self._space), self._stream, make, after_slice)

        while self.finished < budget.trials and time.monotonic() < budget.deadline_s:
            self.study.optimize(objective, n_trials=1, catch=(OutOfTimeError,))
            progress(self.finished)

    def found(self) -> Found:
        """Return the best configuration so far.

        Raises:
            ConfigurationError: No trial was completed.
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
