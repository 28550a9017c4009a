"""The search space: the hyperparameters that a search varies and their ranges."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from millrace.model.configuration import ModelConfiguration

Value = int | float | str


@dataclass(frozen=True, slots=True)
class Range:
    """A number between two bounds.

    Args:
        low: Smallest value.
        high: Largest value.
        log: Whether to sample on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True)
class OneOf:
    """A choice between a few values.

    Args:
        values: The choices, as values of the configuration's field.
    """

    values: tuple[Any, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The choices as text, the form in which a study stores them."""
        return tuple(str(value) for value in self.values)

    def value_of(self, label: str) -> Any:
        """Return the value that belongs to a label."""
        return self.values[self.labels.index(label)]


Space = Mapping[str, Range | OneOf]

# `section.field` of the configuration -> values to search. Each contains the field's default.
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
    """The methods of an Optuna trial that suggest values."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number from `low` to `high`."""
        ...

    def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> Any:
        """Return one of the choices."""
        ...


def suggested(trial: Suggests, space: Space) -> ModelConfiguration:
    """Return the configuration that a running trial suggests.

    Args:
        trial: Running trial.
        space: Hyperparameters to search.
    """
    return ModelConfiguration().with_changes({name: _suggest(trial, name, kind) for name, kind in space.items()})


def configuration_of(parameters: Mapping[str, Value], space: Space) -> ModelConfiguration:
    """Return the configuration of a finished trial.

    Args:
        parameters: `section.field` -> value as the study stores it.
        space: Hyperparameters that were searched.
    """
    changes = {name: _value(space[name], value) for name, value in parameters.items()}
    return ModelConfiguration().with_changes(changes)


def default_parameters(space: Space) -> dict[str, Value]:
    """Return the trial parameters of the default configuration, `section.field` -> value as the study stores it."""
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
