"""The hyperparameters of a model, stored in a TOML file that training and evaluation read.

The defaults suit any catalogue. A field that is None is derived from the data. `millrace tune` writes such files.
"""

import json
import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from millrace.kernel.errors import ConfigurationError


class _Section(BaseModel):
    """Base of the configuration sections: immutable, and rejects unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NetworkChoices(_Section):
    """Sizes and dropout rates of the network."""

    width: int = Field(default=64, ge=8, le=512, description="Width of item vectors and hidden states.")
    heads: int = Field(default=2, ge=1, le=16, description="Attention heads; they divide the width.")
    blocks: int = Field(default=2, ge=1, le=8, description="Attention blocks.")
    length: int | None = Field(
        default=None, ge=1, le=100, description="History entries it reads; None follows from the density of the log."
    )
    dropout: float = Field(default=0.3, ge=0.0, lt=1.0, description="Share of hidden units dropped in training.")
    id_dropout: float = Field(
        default=0.25, ge=0.0, lt=1.0, description="Share of items that a training step sees by their content alone."
    )
    ranker_units: tuple[int, int] = Field(default=(128, 64), description="Hidden units of the re-ranker's two layers.")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"the width {self.width} cannot be divided by {self.heads} heads")
        return self


class EncoderChoices(_Section):
    """Training hyperparameters of the sequence encoder."""

    epochs: int | None = Field(
        default=None, ge=1, le=500, description="Passes of the first training; None counts them on held-out events."
    )
    learning_rate: float = Field(default=2e-3, gt=0.0, le=0.1, description="Peak rate of the first training (AdamW).")
    refresh_epochs: int | None = Field(
        default=None, ge=1, le=50, description="Passes of a refresh; None takes the default of the training plan."
    )
    refresh_learning_rate: float = Field(default=5e-4, gt=0.0, le=0.1, description="Peak rate of a refresh.")
    replay_share: float = Field(
        default=1.0, ge=0.0, le=10.0, description="Old windows replayed in a refresh for each new one."
    )
    weight_decay: float = Field(default=0.01, ge=0.0, le=1.0, description="Of AdamW.")
    window_targets: int | None = Field(
        default=None, ge=1, description="Targets of a training window; None follows from the length of histories."
    )


class RankerChoices(_Section):
    """Training hyperparameters of the re-ranker."""

    epochs: int = Field(default=4, ge=1, le=50, description="Passes over its moments in the first training.")
    learning_rate: float = Field(default=2e-3, gt=0.0, le=0.1, description="Peak rate (AdamW).")
    weight_decay: float = Field(default=0.01, ge=0.0, le=1.0, description="Of AdamW.")
    averaging: float = Field(
        default=0.98, ge=0.0, lt=1.0, description="What a step leaves of the average that is served; 0: the newest."
    )
    replay_share: float = Field(
        default=2.0, ge=0.0, le=20.0, description="Old moments replayed in a refresh for each new one."
    )


class FusionChoices(_Section):
    """Learning rates of the linear fusion, which is trained online with AdaGrad."""

    learning_rate: float = Field(default=0.02, ge=0.0, le=1.0, description="Step size of the weights.")
    context_rate: float = Field(default=0.01, ge=0.0, le=1.0, description="Step size of the weights by context.")


class RhythmChoices(_Section):
    """How often each part of the model is refreshed."""

    ranker_events: int = Field(default=500, ge=1, description="Events between two refreshes of fusion and re-ranker.")
    encoder_growth: float = Field(
        default=0.1, gt=0.0, le=10.0, description="The encoder is refreshed when the log has grown by this share."
    )


class ListChoices(_Section):
    """Rules that turn a ranking into the list shown to the user."""

    diversity: float | None = Field(
        default=None, ge=0.0, le=1.0, description="Weight of dissimilarity; None takes the setting MILLRACE_DIVERSITY."
    )


class ModelConfiguration(_Section):
    """All hyperparameters of a model.

    Args:
        network: Sizes and dropout rates of the network.
        encoder: Training of the sequence encoder.
        ranker: Training of the re-ranker.
        fusion: Online learning of the linear fusion.
        rhythm: How often the parts are refreshed.
        lists: Rules that turn a ranking into a list.
    """

    network: NetworkChoices = NetworkChoices()
    encoder: EncoderChoices = EncoderChoices()
    ranker: RankerChoices = RankerChoices()
    fusion: FusionChoices = FusionChoices()
    rhythm: RhythmChoices = RhythmChoices()
    lists: ListChoices = ListChoices()

    def changed(self) -> dict[str, dict[str, Any]]:
        """Return the fields that differ from their defaults, as section -> field -> value."""
        sections: dict[str, dict[str, Any]] = self.model_dump(mode="json", exclude_defaults=True)
        return {name: fields for name, fields in sections.items() if fields}

    def with_changes(self, changes: dict[str, Any]) -> "ModelConfiguration":
        """Return a validated copy with some fields changed.

        Args:
            changes: `section.field` -> new value.

        Raises:
            ConfigurationError: A name is unknown or a value is out of range.
        """
        sections = self.model_dump(mode="json", exclude_unset=True)
        for name, value in changes.items():
            section, _, field = name.partition(".")
            sections.setdefault(section, {})[field] = value
        return _checked(sections, "The configuration")


def read_configuration(path: Path | None) -> ModelConfiguration:
    """Return the configuration stored in a TOML file.

    Args:
        path: File to read; None returns the defaults.

    Raises:
        ConfigurationError: The file cannot be read or is not TOML, a name is unknown, or a value is out of range.
    """
    if path is None:
        return ModelConfiguration()
    try:
        sections = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigurationError(f"The model configuration {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The model configuration {path} is not TOML: {error}.") from None
    return _checked(sections, f"The model configuration {path}")


def write_configuration(path: Path, configuration: ModelConfiguration, remarks: tuple[str, ...] = ()) -> None:
    """Write the fields that differ from their defaults as TOML.

    Args:
        path: File to write; its folder is created if missing.
        configuration: Configuration to write.
        remarks: Comment lines for the top of the file, without `#`.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    lines = [f"# {remark}" for remark in remarks]
    for section, fields in configuration.changed().items():
        lines += ["", f"[{section}]", *(f"{name} = {json.dumps(value)}" for name, value in fields.items())]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines).lstrip("\n") + "\n")
    except OSError as error:
        raise ConfigurationError(f"The model configuration {path} cannot be written: {error.strerror}.") from None


def _checked(sections: dict[str, Any], what: str) -> ModelConfiguration:
    try:
        return ModelConfiguration.model_validate(sections)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name, problem = ".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{what} is unusable at {name}: {problem}.") from None
