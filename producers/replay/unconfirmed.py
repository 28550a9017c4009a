"""Which replayed events Kafka has not confirmed yet: an interrupted replay goes on at the oldest."""

from collections import deque

from millrace.producers.delivery import Pending


class Unconfirmed:
    """The events that Kafka has yet to confirm, by position.

    Their number alone would not do: partitions confirm independently, so a slow one may hold events far behind the
    newest.
    """

    def __init__(self) -> None:
        self._sent: deque[tuple[int, Pending]] = deque()

    def add(self, position: int, pending: Pending) -> None:
        """Note an event on its way."""
        self._sent.append((position, pending))

    def oldest(self) -> int | None:
        """Return the first position that is not confirmed, None if all are.

        Raises:
            DeliveryError: The broker did not take an event.
        """
        on_the_way: deque[tuple[int, Pending]] = deque()
        for position, pending in self._sent:
            if pending.done:
                pending.result()
            else:
                on_the_way.append((position, pending))
        self._sent = on_the_way
        return min((position for position, _ in on_the_way), default=None)
