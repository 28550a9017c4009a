"""What a replay measures."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from millrace.kernel.contracts import ActivityEvent


@dataclass(frozen=True, slots=True)
class Answer:
    """A list that answered a replayed event.

    Args:
        event: The event.
        value: The recommendation record's value (JSON).
        latency_ms: From the event's record timestamp to the list's.
    """

    event: ActivityEvent
    value: bytes
    latency_ms: int


@dataclass(slots=True)
class ReplayResult:
    """The figures so far; `on_progress` receives the same object each time.

    `position` counts the first events that Kafka has confirmed without a gap; a resumed replay starts there.
    """

    published: int = 0
    answered: int = 0
    unanswered: int = 0
    repeated: int = 0
    fallback: int = 0
    lag: int | None = None
    lagging_role: str | None = None
    in_flight: int = 0
    position: int = 0
    seconds: float = 0.0
    sending_s: float = 0.0
    interrupted: bool = False
    latencies_ms: "array[int]" = field(default_factory=lambda: array("i"))
    by_version: Counter[str] = field(default_factory=Counter)

    @property
    def events_per_s(self) -> float:
        """Mean rate from the beginning to the last event sent."""
        return self.published / self.sending_s if self.sending_s > 0 else 0.0


def percentiles_ms(latencies_ms: Sequence[int]) -> dict[str, float] | None:
    """Return the nearest-rank p50, p95 and p99, or None without any value."""
    ordered = sorted(latencies_ms)
    if not ordered:
        return None
    return {f"p{share}": float(ordered[min(len(ordered) - 1, len(ordered) * share // 100)]) for share in (50, 95, 99)}
