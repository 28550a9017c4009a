"""What a person can choose about the demo."""

from dataclasses import dataclass
from pathlib import Path

from millrace.consumers.retrainer.retrainer import MIN_FIRST_EVENTS
from millrace.kernel.errors import ConfigurationError

DEFAULT_DATA = Path("data/ml-latest-small")


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of one run.

    Args:
        data: MovieLens folder.
        bootstrap: Oldest part of the ratings (0 to 1) that is history: the first model learns from it.
        events: Ratings replayed as a live stream after that.
        rate: Upper bound of the replay, events per second; None for as fast as answers come.
        seed: Orders ratings of the same second.
        home: Folder for this run's data and logs.
        stack: Which servers: `embedded` or `local`.
    """

    data: Path = DEFAULT_DATA
    bootstrap: float = 0.6
    events: int = 20_000
    rate: float | None = 120.0
    seed: int = 0
    home: Path = Path(".millrace/demo")
    stack: str = "embedded"

    def check(self, available: int) -> None:
        """Refuse what cannot work with a data set of `available` ratings.

        Raises:
            ConfigurationError: The bootstrap share leaves too little history or nothing to replay.
        """
        history = int(available * self.bootstrap)
        if not 0 < self.bootstrap < 1 or history < 1 or history >= available:
            raise ConfigurationError(
                f"--bootstrap {self.bootstrap:g} of {available} ratings leaves no history or nothing to replay; "
                "give a share between 0 and 1, e.g. 0.6."
            )
        if history < MIN_FIRST_EVENTS:
            raise ConfigurationError(
                f"The history of {history} ratings is too short: a first model learns from at least "
                f"{MIN_FIRST_EVENTS}; give more data or a larger --bootstrap."
            )
        if self.events < 1:
            raise ConfigurationError("--events must be at least 1.")
