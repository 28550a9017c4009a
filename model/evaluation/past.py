"""A stream that can be read up to the current event only."""

from collections.abc import Sequence
from typing import overload

from millrace.kernel.errors import FatalError
from millrace.kernel.user_state import ResolvedEvent


class LeakError(FatalError):
    """A system read a later event: its figures are invalid."""


class PastEvents(Sequence[ResolvedEvent]):
    """A stream whose later events cannot be read; the evaluation reveals it row by row.

    Args:
        everything: All events, in time order; only the evaluation may use it.
    """

    def __init__(self, everything: Sequence[ResolvedEvent]) -> None:
        self.everything = everything
        self._present = 0

    def reveal(self, stop: int) -> None:
        """Make the events before row `stop` readable."""
        self._present = stop

    def __len__(self) -> int:
        return len(self.everything)

    @overload
    def __getitem__(self, row: int) -> ResolvedEvent: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[ResolvedEvent]: ...

    def __getitem__(self, row: int | slice) -> ResolvedEvent | Sequence[ResolvedEvent]:
        """Return revealed events.

        Raises:
            LeakError: One of them is not revealed yet.
        """
        rows = range(len(self))[row]
        newest = rows if isinstance(rows, int) else max(rows, default=-1)
        if newest >= self._present:
            raise LeakError(
                f"The system read event {newest} of the stream when only the {self._present} before it had happened; "
                "a list may depend on the past alone."
            )
        return self.everything[row]
