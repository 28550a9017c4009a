"""What Redis holds may be no statistics of this format: one error for whoever loads them."""

from collections.abc import Iterator
from contextlib import contextmanager

from millrace.kernel.errors import FatalError


@contextmanager
def readable_statistics() -> Iterator[None]:
    """Load stored pages, popularity, tails or totals inside this block.

    Bytes that cannot be read are no fault of the record that needed them: as an unexpected error they would make a dead
    letter of every event that leads to them.

    Raises:
        FatalError: Something stored cannot be read.
    """
    try:
        yield
    except ValueError as error:
        cause = str(error).rstrip(".")
        raise FatalError(
            f"Statistics in Redis cannot be read ({cause}); run `millrace rebuild`, then start the role again."
        ) from error
