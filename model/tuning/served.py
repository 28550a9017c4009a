"""The system that a search tries configurations of: the one that serves."""

from model.configuration import ModelConfiguration
from model.evaluation.served import ServedOptions, ServedSystem
from model.evaluation.systems import rules_of
from model.tuning.warm_up import WarmUpStream


def make_served(configuration: ModelConfiguration, stream: WarmUpStream) -> ServedSystem:
    """Return the served system, fresh, with a configuration."""
    options = ServedOptions(
        training_end=stream.split.warm_up, configuration=configuration, rules=rules_of(configuration)
    )
    return ServedSystem(stream.catalogue, options)
