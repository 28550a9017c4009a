"""The subscriber SDK: an app receives recommendations as an iterator, by callback or by polling."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, get_args

from pydantic import ValidationError

from millrace.consumers.subscriber_positions import Positions
from millrace.kernel.contracts import Recommendation
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.recent_ids import RecentIds
from millrace.kernel.settings import Settings, load_settings
from millrace.kernel.topic_reader import GroupReader, TopicReader

logger = logging.getLogger(__name__)

Start = Literal["latest", "earliest", "resume"]

DEFAULT_GROUP = "subscriber"
# A repeated list follows its first copy within a batch or two.
_REMEMBERED_IDS = 10_000
_COMMIT_EVERY_S = 1.0
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Received:
    """A recommendation and the record that carried it.

    Args:
        recommendation: The list.
        timestamp_ms: The record's timestamp: when the list was published, in milliseconds since 1970.
        partition: The record's partition.
        offset: The record's offset in that partition.
    """

    recommendation: Recommendation
    timestamp_ms: int
    partition: int
    offset: int

    @property
    def latency_ms(self) -> int:
        """Milliseconds from the event's record to the list's record."""
        return self.timestamp_ms - self.recommendation.received_ts_ms


class RecommendationSubscriber:
    """Receives each recommendation once; a context manager and an iterator, for one thread.

    ```python
    with RecommendationSubscriber(group="mail-app", start="resume") as subscriber:
        for recommendation in subscriber:
            show(recommendation)
    ```

    Delivery is at least once. A list is handled when the next one is asked for, or when the callback returns; `resume`
    goes on at the first list of each partition that was not handled. Within one run repeats are dropped by
    `recommendation_id`.

    Args:
        settings: Addresses; read from the environment when left out.
        start: `latest` (lists from now on) and `earliest` (everything kept) read all partitions and commit nothing;
            `resume` shares the partitions among all subscribers of the group and goes on where it stopped.
        group: Name of the group for `resume`; the configured prefix is put before it.
        user_id: Deliver this user's lists alone.

    Raises:
        ConfigurationError: `start`, `group` or `user_id` cannot be used; the text says why.
        TransientError: No broker answers.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        start: Start = "latest",
        group: str = DEFAULT_GROUP,
        user_id: str | None = None,
    ) -> None:
        _check(start, group, user_id)
        settings = settings or load_settings()
        topic = settings.topics.recommendations
        self._key = user_id.encode() if user_id is not None else None
        self._reader: GroupReader | TopicReader
        if start == "resume":
            self._reader = GroupReader(settings, topic, settings.group_prefix + group)
        else:
            self._reader = TopicReader(settings, topic, start)
        self._seen = RecentIds(_REMEMBERED_IDS)
        self._waiting: deque[Received] = deque()
        self._yielded: Received | None = None
        self._positions = Positions() if start == "resume" else None
        self._committed_s = time.monotonic()
        self.duplicates = 0

    def __enter__(self) -> "RecommendationSubscriber":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Recommendation]:
        """Yield recommendations as they arrive, without end.

        Asking for the next list marks the last one as handled. A loop may be left and begun again: it goes on with
        the next list.
        """
        while True:
            received = self._next()
            if received is not None:
                self._yielded = received
                yield received.recommendation

    def run(
        self,
        callback: Callable[[Received], None],
        *,
        limit: int | None = None,
        stop: threading.Event | None = None,
    ) -> int:
        """Call `callback` for each recommendation until `limit` or `stop` ends the loop; return how many were handled.

        If the callback raises, its list is not handled: the next `run` begins with it.

        Args:
            callback: Called on this thread; the list counts as handled when it returns.
            limit: Return after so many recommendations.
            stop: Set it, from any thread, to end the loop within half a second.
        """
        count = 0
        while count != limit and not (stop is not None and stop.is_set()):
            received = self._next()
            if received is None:
                continue
            try:
                callback(received)
            except BaseException:
                self._waiting.appendleft(received)
                raise
            self.handled(received)
            count += 1
        return count

    def poll(self, timeout_s: float) -> list[Received]:
        """Return what has arrived, repeats and other users' lists left out; waits up to `timeout_s` for the first.

        Call `handled` for each list that you have dealt with, in any order.
        """
        self._handle_yielded()
        waiting, self._waiting = list(self._waiting), deque()
        return waiting or self._read(timeout_s)

    def handled(self, received: Received) -> None:
        """Mark a recommendation as handled; `resume` goes on at the first one of each partition that is not."""
        if self._positions is not None:
            self._positions.close(received.partition, received.offset)

    def commit(self) -> None:
        """Store on the broker what has been handled so far; done every second and on close without a call."""
        self._committed_s = time.monotonic()
        if self._positions is not None and isinstance(self._reader, GroupReader):
            self._reader.commit(self._positions.take_changed())

    def close(self) -> None:
        """Commit what was handled and close the connection."""
        try:
            self.commit()
        finally:
            self._reader.close()

    def _next(self) -> Received | None:
        """Return the next recommendation, or None if none arrived within half a second."""
        self._handle_yielded()
        if self._waiting:
            self._commit_if_due()
        else:
            self._waiting.extend(self._read(_POLL_S))
        return self._waiting.popleft() if self._waiting else None

    def _handle_yielded(self) -> None:
        if self._yielded is not None:
            self.handled(self._yielded)
            self._yielded = None

    def _read(self, timeout_s: float) -> list[Received]:
        self._commit_if_due()
        received = [self._accept(record) for record in self._reader.poll(timeout_s)]
        return [one for one in received if one is not None]

    def _accept(self, record: Any) -> Received | None:
        recommendation = self._recommendation(record)
        if self._positions is not None:
            self._positions.read(record.partition, record.offset, is_open=recommendation is not None)
        if recommendation is None:
            return None
        return Received(recommendation, record.timestamp, record.partition, record.offset)

    def _recommendation(self, record: Any) -> Recommendation | None:
        if self._key is not None and record.key != self._key:
            return None
        try:
            recommendation = Recommendation.model_validate_json(record.value or b"")
        except ValidationError:
            logger.warning("Partition %d, offset %d is no recommendation; skipped.", record.partition, record.offset)
            return None
        if self._seen.is_repeat(recommendation.recommendation_id):
            self.duplicates += 1
            return None
        return recommendation

    def _commit_if_due(self) -> None:
        if time.monotonic() - self._committed_s >= _COMMIT_EVERY_S:
            self.commit()


def _check(start: object, group: str, user_id: str | None) -> None:
    if start not in get_args(Start):
        choices = ", ".join(get_args(Start))
        raise ConfigurationError(f"A subscriber cannot start at {start!r}: choose one of {choices}.")
    for name, value in {"group": group, "user_id": user_id}.items():
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"The {name} of a subscriber must be text; received {value!r}.")
    if not group or not group.strip():
        raise ConfigurationError("The group of a subscriber needs a name.")
    if user_id is not None and not user_id.strip():
        raise ConfigurationError("user_id is empty: leave it out to receive the lists of all users.")
