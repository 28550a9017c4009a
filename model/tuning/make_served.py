"""The system that a search tries configurations of: the one that serves."""

from millrace.model.configuration import ModelConfiguration
from millrace.model.evaluation.served_system import ServedOptions, ServedSystem
from millrace.model.evaluation.systems import rules_of
from millrace.model.tuning.warm_up import WarmUpStream


def make_served(configuration: ModelConfiguration, stream: WarmUpStream) -> ServedSystem:
    """Return the served system, fresh, with a configuration."""
    options = ServedOptions(
        training_end=stream.split.warm_up, configuration=configuration, rules=rules_of(configuration)
    )
    return ServedSystem(stream.catalogue, options)
