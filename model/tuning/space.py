"""What a search tries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from millrace.model.configuration import ModelConfiguration

Value = int | float | str


@dataclass(frozen=True, slots=True)
class Range:
    """A number between two bounds.

    Args:
        low: Smallest.
        high: Largest.
        log: Whether ratios matter instead of differences.
    """

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few values.

    Args:
        values: What is tried, as it stands in a configuration.
    """

    values: tuple[Any, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The values as text, since a study stores text."""
        return tuple(str(value) for value in self.values)

    def value_of(self, label: str) -> Any:
        """Return the value of a label."""
        return self.values[self.labels.index(label)]


Space = Mapping[str, Range | OneOf]

# Field of the configuration -> what is tried. The default of each lies within.
SEARCH_SPACE: Space = {
    "network.width": OneOf((32, 64, 96)),
    "network.blocks": OneOf((1, 2, 3)),
    "network.dropout": Range(0.1, 0.5),
    "network.id_dropout": Range(0.0, 0.5),
    "network.ranker_units": OneOf(((32, 16), (64, 32), (128, 64))),
    "encoder.learning_rate": Range(5e-4, 4e-3, log=True),
    "encoder.weight_decay": Range(1e-3, 0.1, log=True),
    "encoder.refresh_learning_rate": Range(1e-4, 2e-3, log=True),
    "encoder.replay_share": Range(0.0, 3.0),
    "ranker.learning_rate": Range(3e-4, 4e-3, log=True),
    "ranker.replay_share": Range(0.0, 4.0),
    "fusion.learning_rate": Range(3e-3, 0.1, log=True),
    "fusion.context_rate": Range(1e-3, 0.05, log=True),
}


class Suggests(Protocol):
    """What of an Optuna trial is needed to choose values."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number between the bounds."""
        ...

    def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> Any:
        """Return one of the choices."""
        ...


def suggested(trial: Suggests, space: Space) -> ModelConfiguration:
    """Return the configuration that a trial tries."""
    return ModelConfiguration().with_changes({name: _suggest(trial, name, kind) for name, kind in space.items()})


def configuration_of(parameters: Mapping[str, Value], space: Space) -> ModelConfiguration:
    """Return the configuration of a finished trial's parameters."""
    changes = {name: _value(space[name], value) for name, value in parameters.items()}
    return ModelConfiguration().with_changes(changes)


def default_parameters(space: Space) -> dict[str, Value]:
    """Return the parameters of a trial that tries the defaults."""
    sections = ModelConfiguration().model_dump()
    parameters: dict[str, Value] = {}
    for name, kind in space.items():
        section, _, field = name.partition(".")
        value = sections[section][field]
        parameters[name] = str(value) if isinstance(kind, OneOf) else value
    return parameters


def _suggest(trial: Suggests, name: str, kind: Range | OneOf) -> Any:
    if isinstance(kind, OneOf):
        return kind.value_of(trial.suggest_categorical(name, kind.labels))
    return trial.suggest_float(name, kind.low, kind.high, log=kind.log)


def _value(kind: Range | OneOf, stored: Value) -> Any:
    return kind.value_of(str(stored)) if isinstance(kind, OneOf) else stored
