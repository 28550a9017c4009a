"""Every system that can be graded, by its name."""

from dataclasses import replace
from typing import TYPE_CHECKING

from millrace.model.baselines.by_name import BASELINES, BaselineSetup
from millrace.model.configuration import ModelConfiguration, read_configuration
from millrace.model.evaluation.baseline_system import BaselineSystem
from millrace.model.evaluation.options import EvaluateOptions
from millrace.model.evaluation.split import Split
from millrace.model.evaluation.system import System
from millrace.model.recorded_stream import RecordedStream
from millrace.streams.ranking import ListRules

if TYPE_CHECKING:
    from millrace.model.evaluation.served_system import ServedOptions

SERVED = "millrace"


def make_system(name: str, stream: RecordedStream, split: Split, options: EvaluateOptions) -> System:
    """Return the served system or a baseline, fresh."""
    if name != SERVED:
        baseline = BASELINES[name](BaselineSetup(stream.catalogue.max_index + 1, options.seed))
        return BaselineSystem(
            name, baseline, stream.catalogue, split.graded, options.seed, options.delay_s, options.rate_per_s
        )
    from millrace.model.evaluation.served_system import ServedSystem  # it imports TensorFlow

    return ServedSystem(stream.catalogue, served_options(split, options), SERVED)


def served_options(split: Split, options: EvaluateOptions) -> "ServedOptions":
    """Return how the served system is run."""
    from millrace.model.evaluation.served_system import ServedOptions

    configuration = configuration_of(options)
    return ServedOptions(
        training_end=split.warm_up,
        without=frozenset(options.without),
        configuration=configuration,
        rules=rules_of(configuration),
        lag_s=options.delay_s,
        rate=options.rate_per_s,
        request_time=options.request_time,
        seed=options.seed,
    )


def configuration_of(options: EvaluateOptions) -> ModelConfiguration:
    """Return the configuration file's choices with the rhythms that were asked for."""
    rhythms = {"rhythm.ranker_events": options.ranker_events, "rhythm.encoder_growth": options.encoder_growth}
    changes = {name: value for name, value in rhythms.items() if value is not None}
    return read_configuration(options.configuration).with_changes(changes)


def rules_of(configuration: ModelConfiguration) -> ListRules:
    """Return the rules of lists with what the configuration says of them."""
    diversity = configuration.lists.diversity
    return ListRules() if diversity is None else replace(ListRules(), diversity=diversity)
