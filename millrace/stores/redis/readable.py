"""State in Redis that cannot be read: one error for every role that loads it."""

from collections.abc import Iterator
from contextlib import contextmanager

from millrace.kernel.errors import FatalError


@contextmanager
def readable_statistics() -> Iterator[None]:
    """Load stored pages, popularity, tails or totals inside this block.

    Raises:
        FatalError: Something stored cannot be read.
    """
    with _readable("Statistics"):
        yield


@contextmanager
def readable_users() -> Iterator[None]:
    """Decode stored user states inside this block.

    Raises:
        FatalError: A state cannot be read.
    """
    with _readable("User state"):
        yield


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Turn decoding errors into a FatalError.

    Unreadable state is not the fault of the record that needs it. As an unexpected error it would make a dead letter of
    every event that leads to it. Running out of memory belongs here: a damaged index can ask for any amount.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError, MemoryError) as error:
        cause = str(error).rstrip(".")
        raise FatalError(
            f"{what} in Redis cannot be read ({cause}); run `millrace rebuild`, then start the role again."
        ) from error
