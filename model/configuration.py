"""What may be chosen of a model besides its data: one object, kept in a TOML file that training and evaluation read.

The defaults suit any catalogue; a field that is None follows from the data. `millrace tune` writes such files.
"""

import json
import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from millrace.kernel.errors import ConfigurationError


class _Section(BaseModel):
    """A part of the configuration; a name it does not know is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NetworkChoices(_Section):
    """Sizes of the network."""

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
    """Training of the sequence encoder."""

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
    """Learning of the re-ranker."""

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
    """Online learning of the linear fusion (AdaGrad)."""

    learning_rate: float = Field(default=0.02, ge=0.0, le=1.0, description="Step size of the weights.")
    context_rate: float = Field(default=0.01, ge=0.0, le=1.0, description="Step size of the weights by context.")


class RhythmChoices(_Section):
    """How often what is learned anew."""

    ranker_events: int = Field(default=500, ge=1, description="Events between two refreshes of fusion and re-ranker.")
    encoder_growth: float = Field(
        default=0.1, gt=0.0, le=10.0, description="The encoder is refreshed when the log has grown by this share."
    )


class ListChoices(_Section):
    """From a ranking to the list that is shown."""

    diversity: float | None = Field(
        default=None, ge=0.0, le=1.0, description="Weight of dissimilarity; None takes the setting MILLRACE_DIVERSITY."
    )


class ModelConfiguration(_Section):
    """Everything that may be chosen of a model.

    Args:
        network: Sizes.
        encoder: Its training.
        ranker: Its learning.
        fusion: Its learning.
        rhythm: How often they learn.
        lists: What is done to a ranking.
    """

    network: NetworkChoices = NetworkChoices()
    encoder: EncoderChoices = EncoderChoices()
    ranker: RankerChoices = RankerChoices()
    fusion: FusionChoices = FusionChoices()
    rhythm: RhythmChoices = RhythmChoices()
    lists: ListChoices = ListChoices()

    def changed(self) -> dict[str, dict[str, Any]]:
        """Return section -> field -> value of what is not the default."""
        sections: dict[str, dict[str, Any]] = self.model_dump(mode="json", exclude_defaults=True)
        return {name: fields for name, fields in sections.items() if fields}

    def with_changes(self, changes: dict[str, Any]) -> "ModelConfiguration":
        """Return a checked copy; `changes` maps `section.field` to a value.

        Raises:
            ConfigurationError: A name is unknown or a value is out of range.
        """
        sections = self.model_dump(mode="json", exclude_unset=True)
        for name, value in changes.items():
            section, _, field = name.partition(".")
            sections.setdefault(section, {})[field] = value
        return _checked(sections, "The configuration")


def read_configuration(path: Path | None) -> ModelConfiguration:
    """Return the configuration in a TOML file; the defaults for None.

    Raises:
        ConfigurationError: The file cannot be read, is no TOML, or names something unknown or out of range.
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
    """Write what differs from the defaults as TOML.

    Args:
        path: File to write; its folder is made.
        configuration: What to write.
        remarks: Lines of a comment at the top.

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
