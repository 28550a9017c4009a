"""Which list answers which event: the pure core of a load test."""

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

# Repeats follow their first copy within a batch or two; late lists follow after a deadline.
_REMEMBERED = 100_000


class Verdict(StrEnum):
    """What a list turned out to be."""

    ANSWER = "answer"
    REPEATED = "repeated"
    LATE = "late"
    MISDIRECTED = "misdirected"
    FOREIGN = "foreign"


@dataclass(slots=True)
class Counts:
    """Every event ends in exactly one of `refused`, `answered`, `unmatched` and `misdirected`.

    Args:
        sent: Events handed to Kafka.
        refused: Not confirmed by the broker.
        answered: Their list came in time.
        unmatched: No list came before the deadline.
        misdirected: A list came that was made for another user.
        fallback: Answers that the model did not score.
        repeated: Further copies of answers; at-least-once delivery allows them.
        late: Lists of events that had been given up.
        foreign: Lists of events that others published.
    """

    sent: int = 0
    refused: int = 0
    answered: int = 0
    unmatched: int = 0
    misdirected: int = 0
    fallback: int = 0
    repeated: int = 0
    late: int = 0
    foreign: int = 0

    @property
    def open(self) -> int:
        """Events that have not ended yet."""
        return self.sent - self.refused - self.answered - self.unmatched - self.misdirected


@dataclass(frozen=True, slots=True)
class _Waiting:
    user_id: str
    due_s: float


class Matcher:
    """Remembers which events wait for a list.

    Args:
        deadline_s: An event that has waited so long is unmatched.
    """

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        # In the order of sending, which is the order of the deadlines.
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._ended: OrderedDict[str, Verdict] = OrderedDict()
        self.counts = Counts()

    def expect(self, event_id: str, user_id: str, sent_s: float) -> None:
        """Take note that a user waits for the list of an event.

        Args:
            event_id: The event.
            user_id: Who waits.
            sent_s: When the user acted.
        """
        self._waiting[event_id] = _Waiting(user_id, sent_s + self._deadline_s)
        self.counts.sent += 1

    def refused(self, event_id: str) -> None:
        """Take note that the broker did not take an event; a list that comes all the same is late."""
        if self._end(event_id, Verdict.LATE):
            self.counts.refused += 1

    def answered(self, event_id: str, user_id: str, fallback: bool = False) -> Verdict:
        """Return what a list is.

        Args:
            event_id: The event that caused it.
            user_id: Whom it was made for.
            fallback: Whether the model did not score it.
        """
        waiting = self._waiting.get(event_id)
        if waiting is None:
            verdict = self._ended.get(event_id, Verdict.FOREIGN)
        else:
            verdict = Verdict.ANSWER if waiting.user_id == user_id else Verdict.MISDIRECTED
            self._end(event_id, Verdict.REPEATED)
        self._count(verdict, fallback)
        return verdict

    def expire(self, now_s: float) -> list[str]:
        """Give up the events whose deadline has passed, and return them."""
        given_up = []
        while self._waiting:
            event_id, waiting = next(iter(self._waiting.items()))
            if waiting.due_s > now_s:
                break
            self._end(event_id, Verdict.LATE)
            self.counts.unmatched += 1
            given_up.append(event_id)
        return given_up

    def _count(self, verdict: Verdict, fallback: bool) -> None:
        match verdict:
            case Verdict.ANSWER:
                self.counts.answered += 1
                self.counts.fallback += fallback
            case Verdict.REPEATED:
                self.counts.repeated += 1
            case Verdict.LATE:
                self.counts.late += 1
            case Verdict.MISDIRECTED:
                self.counts.misdirected += 1
            case Verdict.FOREIGN:
                self.counts.foreign += 1

    def _end(self, event_id: str, next_verdict: Verdict) -> bool:
        """Stop waiting; `next_verdict` is what a later list of the event will be."""
        if self._waiting.pop(event_id, None) is None:
            return False
        self._ended[event_id] = next_verdict
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)
        return True
