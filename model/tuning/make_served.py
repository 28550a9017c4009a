"""Factory of the served system, whose configuration a search optimises."""

from millrace.model.configuration import ModelConfiguration
from millrace.model.evaluation.served_system import ServedOptions, ServedSystem
from millrace.model.evaluation.systems import rules_of
from millrace.model.tuning.warm_up import WarmUpStream


def make_served(configuration: ModelConfiguration, stream: WarmUpStream) -> ServedSystem:
    """Return a new served system.

    Args:
        configuration: Hyperparameters of the system.
        stream: Stream whose catalogue it serves; it trains before the warm-up of this stream.
    """
    options = ServedOptions(
        training_end=stream.split.warm_up, configuration=configuration, rules=rules_of(configuration)
    )
    return ServedSystem(stream.catalogue, options)
