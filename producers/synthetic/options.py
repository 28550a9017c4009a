"""The size of what is generated, for the stream and for the data set, and how a command line spells it."""

from dataclasses import dataclass, fields

from millrace.kernel.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class SyntheticOptions:
    """How much to generate.

    Args:
        users: How many users.
        items: How many items; those that arrive during the stream included.
        events: How many events.
        seed: The same seed makes the same stream, and the same files.
    """

    users: int = 1_000
    items: int = 5_000
    events: int = 100_000
    seed: int = 0


def parse_synthetic(text: str) -> SyntheticOptions:
    """Read `users=1000,items=5000,events=100000,seed=1`; what is left out keeps its default.

    Raises:
        ConfigurationError: A name is unknown or a number is unusable.
    """
    names = [field.name for field in fields(SyntheticOptions)]
    given: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, number = part.partition("=")
        smallest = 0 if name == "seed" else 1
        if name not in names or not number.isdigit() or int(number) < smallest:
            raise ConfigurationError(
                f"The part {part!r} of the sizes is unusable; expected {', '.join(names)}, each with a whole number, "
                "such as users=1000,seed=1."
            )
        given[name] = int(number)
    return SyntheticOptions(**given)
