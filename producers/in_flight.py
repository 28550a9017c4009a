"""Bounds how many records are on their way to the broker, for any number of threads."""

import threading

from millrace.producers.delivery import DeliveryError


class InFlight:
    """Counts the records on their way and collects the failures that nobody waits for.

    Args:
        limit: Most records on their way.
        timeout_s: Longest wait for room.
    """

    def __init__(self, limit: int, timeout_s: float) -> None:
        self._limit = limit
        self._timeout_s = timeout_s
        self._changed = threading.Condition()
        self._count = 0
        self._failed: list[DeliveryError] = []

    @property
    def count(self) -> int:
        """How many records are on their way."""
        return self._count

    def enter(self, record: object, name: str) -> None:
        """Wait for room and take it.

        Raises:
            DeliveryError: No room within the timeout.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._count < self._limit, self._timeout_s):
                raise DeliveryError(
                    f"{name} was not sent: {self._count} records have been waiting for the broker "
                    f"for {self._timeout_s:g} s.",
                    [record],
                )
            self._count += 1

    def leave(self, _result: object = None) -> None:
        """Give the room of one record back."""
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def remember(self, failure: DeliveryError | None) -> None:
        """Keep a failure for the next `wait_empty`."""
        if failure is not None:
            with self._changed:
                self._failed.append(failure)

    def wait_empty(self, timeout_s: float) -> list[DeliveryError]:
        """Wait until nothing is on its way; return and forget the failures remembered so far.

        Raises:
            DeliveryError: Something is still on its way.
        """
        with self._changed:
            empty = self._changed.wait_for(lambda: self._count == 0, timeout_s)
            failed, self._failed = self._failed, []
            left = self._count
        if not empty:
            raise DeliveryError(
                f"{left} records were not confirmed within {timeout_s:g} s; the broker is slow or away."
            )
        return failed
