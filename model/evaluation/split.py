"""The split of a stream into training, warm-up and graded part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from millrace.kernel.errors import ConfigurationError

TRAINING_SHARE = 0.2
WARM_UP_SHARE = 0.1
# With fewer, the encoder may find no user with two events to learn from.
LEAST_TRAINING_EVENTS = 50
_Event = TypeVar("_Event")


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of a stream in time order: training, then warm-up (constants are chosen on it), then the graded part.

    Args:
        warm_up: First row of the warm-up.
        graded: First graded row.
        stop: One past the last graded row; nothing from there on is read.
    """

    warm_up: int
    graded: int
    stop: int

    @classmethod
    def of(
        cls, events: int, training: float = TRAINING_SHARE, warm_up: float = WARM_UP_SHARE, graded: int | None = None
    ) -> "Split":
        """Return the split of a stream.

        Args:
            events: Events in the stream.
            training: Share before the warm-up.
            warm_up: Share between training and the graded part.
            graded: Most graded events; None for all that remain.

        Raises:
            ConfigurationError: The shares leave nothing to train on or nothing to grade.
        """
        first, second = round(events * training), round(events * (training + warm_up))
        stop = events if graded is None else min(second + graded, events)
        if training <= 0.0 or warm_up < 0.0 or not 0 < first <= second < stop:
            raise ConfigurationError(
                f"A training share of {training:g} and a warm-up of {warm_up:g} leave nothing to train on or to grade "
                f"of {events} events; choose shares that sum to less than 1."
            )
        return cls(first, second, stop)


def check_learnable(split: Split) -> None:
    """Refuse a split whose training part is too short for a first model.

    Raises:
        ConfigurationError: The text says how many events there are and how many are needed.
    """
    if split.warm_up < LEAST_TRAINING_EVENTS:
        raise ConfigurationError(
            f"The training part of this stream is too short: a first model needs {LEAST_TRAINING_EVENTS} events "
            f"(found: {split.warm_up}); use a longer stream or a larger training share."
        )


def before_graded(events: Sequence[_Event], split: Split) -> Sequence[_Event]:
    """Return the events before the graded part, the only ones that choices may depend on, as a copy."""
    return tuple(events[: split.graded])
