"""A stream that can be read up to the present."""

from collections.abc import Sequence
from typing import overload

from millrace.kernel.errors import FatalError
from millrace.kernel.user_state import ResolvedEvent


class LeakError(FatalError):
    """A system knew something before it happened: its figures mean nothing."""


class PastEvents(Sequence[ResolvedEvent]):
    """A stream of which only what has happened can be read; the evaluation moves the present on.

    Args:
        everything: All events; for the evaluation itself.
    """

    def __init__(self, everything: Sequence[ResolvedEvent]) -> None:
        self.everything = everything
        self._present = 0

    def reveal(self, stop: int) -> None:
        """Let the events before row `stop` be read."""
        self._present = stop

    def __len__(self) -> int:
        return len(self.everything)

    @overload
    def __getitem__(self, row: int) -> ResolvedEvent: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[ResolvedEvent]: ...

    def __getitem__(self, row: int | slice) -> ResolvedEvent | Sequence[ResolvedEvent]:
        """Return events of the past.

        Raises:
            LeakError: One of them has not happened yet.
        """
        rows = range(len(self))[row]
        newest = rows if isinstance(rows, int) else max(rows, default=-1)
        if newest >= self._present:
            raise LeakError(
                f"The system read event {newest} of the stream when only the {self._present} before it had happened; "
                "a list may depend on the past alone."
            )
        return self.everything[row]
