"""The subscriber SDK: an app's way to receive recommendations, as an iterator or by callback."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from pydantic import ValidationError

from millrace.kernel.contracts import Recommendation
from millrace.kernel.recent_ids import RecentIds
from millrace.kernel.settings import Settings, load_settings
from millrace.kernel.topic_reader import GroupReader, TopicReader

logger = logging.getLogger(__name__)

DEFAULT_GROUP = "subscriber"
# How many recommendation ids are remembered; repeats follow their first copy within a batch or two.
_REMEMBERED_IDS = 10_000
_COMMIT_EVERY_S = 1.0
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Received:
    """A recommendation and the record it came in.

    Args:
        recommendation: The list.
        timestamp_ms: When its record was published, by the record's timestamp.
        partition: Where the record lies.
        offset: Where the record lies.
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

    Delivery is at least once: a list is committed after it has been handled, so a crash may repeat the last ones.
    Within one run repeats are dropped by `recommendation_id`.

    Args:
        settings: Addresses; read from the environment when left out.
        start: `latest` (lists from now on) and `earliest` (everything kept) read all partitions and commit nothing;
            `resume` shares the partitions among all subscribers of the group and goes on where it stopped.
        group: Name of the group for `resume`; the configured prefix is put before it.
        user_id: Only this user's lists.

    Raises:
        TransientError: No broker answers.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        start: Literal["latest", "earliest", "resume"] = "latest",
        group: str = DEFAULT_GROUP,
        user_id: str | None = None,
    ) -> None:
        settings = settings or load_settings()
        topic = settings.topics.recommendations
        self._key = user_id.encode() if user_id is not None else None
        self._reader: GroupReader | TopicReader
        if start == "resume":
            self._reader = GroupReader(settings, topic, settings.group_prefix + group)
        else:
            self._reader = TopicReader(settings, topic, start)
        self._seen = RecentIds(_REMEMBERED_IDS)
        self._handled: dict[int, int] = {}
        self._open: Counter[int] = Counter()
        self._committed_s = time.monotonic()
        self.duplicates = 0

    def __enter__(self) -> "RecommendationSubscriber":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Recommendation]:
        """Yield recommendations as they come, without end; asking for the next one says the last was handled."""
        while True:
            for received in self.poll(_POLL_S):
                yield received.recommendation
                self.handled(received)

    def run(
        self,
        callback: Callable[[Received], None],
        *,
        limit: int | None = None,
        stop: threading.Event | None = None,
    ) -> int:
        """Call back for each recommendation until `limit` is reached or `stop` is set; return how many there were.

        Args:
            callback: Called on this thread; the list counts as handled when it returns.
            limit: Most recommendations to take.
            stop: Set it, from any thread, to end the loop within half a second.
        """
        count = 0
        while not (stop is not None and stop.is_set()):
            for received in self.poll(_POLL_S):
                if count == limit:
                    break
                callback(received)
                self.handled(received)
                count += 1
            if count == limit:
                break
        return count

    def poll(self, timeout_s: float) -> list[Received]:
        """Return what has arrived, repeats and other users' lists left out; waits up to `timeout_s` for the first.

        Call `handled` for each when it has been dealt with.
        """
        self._commit_if_due()
        received = [self._accept(record) for record in self._reader.poll(timeout_s)]
        return [one for one in received if one is not None]

    def handled(self, received: Received) -> None:
        """Say that a recommendation has been dealt with; `resume` continues behind it."""
        self._open[received.partition] -= 1
        self._handled[received.partition] = received.offset + 1

    def commit(self) -> None:
        """Remember on the broker what has been handled so far; happens by itself every second and on close."""
        self._committed_s = time.monotonic()
        handled, self._handled = self._handled, {}
        if isinstance(self._reader, GroupReader):
            self._reader.commit(handled)

    def close(self) -> None:
        """Commit what was handled and let go of the connection."""
        try:
            self.commit()
        finally:
            self._reader.close()

    def _accept(self, record: Any) -> Received | None:
        recommendation = self._recommendation(record)
        if recommendation is None:
            # What is left out needs no handling, unless lists before it still do.
            if not self._open[record.partition]:
                self._handled[record.partition] = record.offset + 1
            return None
        self._open[record.partition] += 1
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
