"""Progress of training."""

from collections.abc import Callable

# Called with a phase and the share of it that is done, 0 to 1.
Progress = Callable[[str, float], None]


def silent(phase: str, share: float) -> None:
    """Ignore progress."""
