"""The sizes of a dense data set."""

from dataclasses import dataclass

from millrace.kernel.errors import ConfigurationError

# A user can have rated at most this share of the catalogue.
MAX_SHARE_OF_ITEMS = 0.6


@dataclass(frozen=True, slots=True)
class DenseOptions:
    """How much to make.

    Args:
        events: Ratings in total.
        users: Users, each with about the same distribution of activity as in ml-1m.
        items: Movies in the catalogue.
        seed: The same seed makes the same files.

    Raises:
        ConfigurationError: The sizes do not fit together.
    """

    events: int = 1_000_000
    users: int = 6_000
    items: int = 3_700
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.events, self.users) < 1 or self.items < 50 or self.seed < 0:
            raise ConfigurationError("A dense data set needs at least one event, one user and 50 items.")
        if not self.users <= self.events <= MAX_SHARE_OF_ITEMS / 2 * self.users * self.items:
            raise ConfigurationError(
                f"{self.events} events do not fit {self.users} users and {self.items} items: give at least one event "
                f"per user, and at most {MAX_SHARE_OF_ITEMS / 2:g} of all pairs of a user and an item."
            )
