"""Published records and the answers to them, by the record's place in the events topic."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from millrace.kernel.contracts import ActivityEvent

# Partition and offset.
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Answers:
    """What has been read of the topics that workers write.

    Args:
        lists: Recommendation ids by the place of the event they answer, one for each copy.
        letters: Copies of dead letters by the place of the broken record.
    """

    lists: Mapping[Place, list[str]]
    letters: Counter[Place]


class Ledger:
    """Thread-safe record of confirmed events, and of the lists and dead letters that answer them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[Place, ActivityEvent] = {}
        self._sent_s: dict[Place, float] = {}
        self._broken: set[Place] = set()
        self._lists: dict[Place, list[str]] = {}
        self._letters: Counter[Place] = Counter()
        self._unanswered: set[Place] = set()
        self._ends: dict[int, int] = {}
        self._newest_events: dict[int, int] = {}
        self._watched_s = float("inf")
        self._fresh_s: dict[int, float] = {}

    def confirmed(self, place: Place, event: ActivityEvent | None, sent_s: float) -> None:
        """Record what Kafka has confirmed; `event` is None for a broken one."""
        partition, offset = place
        with self._lock:
            self._ends[partition] = max(self._ends.get(partition, -1), offset)
            if event is None:
                self._broken.add(place)
                return
            self._newest_events[partition] = max(self._newest_events.get(partition, -1), offset)
            self._events[place] = event
            self._sent_s[place] = sent_s
            if place in self._lists:
                # Its list was faster than Kafka's confirmation.
                self._look_for_fresh(place, sent_s)
            else:
                self._unanswered.add(place)

    def answered(self, place: Place, recommendation_id: str) -> None:
        """Record a list."""
        with self._lock:
            self._lists.setdefault(place, []).append(recommendation_id)
            self._unanswered.discard(place)
            sent_s = self._sent_s.get(place)
            if sent_s is not None:
                self._look_for_fresh(place, sent_s)

    def dead(self, place: Place) -> None:
        """Record a dead letter."""
        with self._lock:
            self._letters[place] += 1

    def watch(self) -> float:
        """Note the first list of each partition for an event sent from now on; returns the current time."""
        with self._lock:
            self._watched_s, self._fresh_s = time.monotonic(), {}
            return self._watched_s

    def fresh(self) -> dict[int, float]:
        """Return by partition after how many seconds an event sent since `watch` was first answered."""
        with self._lock:
            return {partition: at_s - self._watched_s for partition, at_s in self._fresh_s.items()}

    def ends(self) -> dict[int, int]:
        """Return the last confirmed offset by partition."""
        with self._lock:
            return dict(self._ends)

    def newest_events(self) -> dict[int, int]:
        """Return the last confirmed offset of a valid event by partition."""
        with self._lock:
            return dict(self._newest_events)

    def open(self) -> tuple[int, int]:
        """Return how many events have no list yet, and how many broken records no dead letter."""
        with self._lock:
            return len(self._unanswered), len(self._broken - self._letters.keys())

    def published(self, after: Mapping[int, int]) -> list[tuple[Place, ActivityEvent]]:
        """Return the events behind these offsets in the order of their partitions."""
        with self._lock:
            return sorted(
                ((place, event) for place, event in self._events.items() if place[1] > after.get(place[0], -1)),
                key=lambda pair: pair[0],
            )

    @property
    def counts(self) -> tuple[int, int]:
        """How many events and how many broken records were confirmed."""
        with self._lock:
            return len(self._events), len(self._broken)

    def broken(self) -> set[Place]:
        """Return the places of the broken records."""
        with self._lock:
            return set(self._broken)

    def answers(self) -> Answers:
        """Return what came back so far."""
        with self._lock:
            return Answers({place: list(ids) for place, ids in self._lists.items()}, Counter(self._letters))

    def _look_for_fresh(self, place: Place, sent_s: float) -> None:
        if sent_s >= self._watched_s:
            self._fresh_s.setdefault(place[0], time.monotonic())
