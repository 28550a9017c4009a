"""What a verification finds, for people and for scripts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["user", "tail", "item", "page", "popularity", "statistics"]

_LONGEST_VALUE = 80


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that Redis holds otherwise than the log says.

    Args:
        kind: `user` (a worker's), `tail` (the keeper's memory of a user), `item` (catalogue), `page` (an item's
            neighbours), `popularity` (an item's counts) or `statistics` (the keeper's totals).
        name: User id, item id, or the total's name.
        field: What of it.
        logged: As recomputed from the event log; None where the log knows of none.
        stored: As Redis has it; None where there is none.
    """

    kind: Kind
    name: str
    field: str
    logged: Any
    stored: Any

    def __str__(self) -> str:
        """Return one line with both values, long ones shortened around the first place in which they differ."""
        logged, stored = shortened(self.logged, self.stored)
        return f"{self.kind} {self.name}, {self.field}: {logged} by the log, {stored} in Redis"


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome.

    Args:
        events: Events applied to recompute.
        users: Users compared.
        items: Items compared.
        compared_up_to: By role (`worker`, `statistics`) and partition the offset up to which the state was compared.
        log_end: Last offset logged of each partition.
        differences: What is certain to differ.
        undecided: What differs while the log does not reach as far as Redis in some partition: records there may be
            dead letters, or events that are not logged yet.
        displacement_events: How far, at most, an item's last or first event lies from where the log's order puts it,
            since the keeper takes partitions side by side in an order of its own.
        exact: Whether decayed numbers were compared to the last bit: all streamed events lie in one partition.
        forgotten_events: Events of forgotten people that item pages still hold anonymously, until the next rebuild.
        seconds: How long it took.
    """

    events: int
    users: int
    items: int
    compared_up_to: Mapping[str, Mapping[int, int]]
    log_end: Mapping[int, int]
    differences: tuple[Difference, ...]
    undecided: tuple[Difference, ...]
    displacement_events: int
    exact: bool
    forgotten_events: int
    seconds: float

    @property
    def equal(self) -> bool:
        """Whether everything compared is the same."""
        return not self.differences and not self.undecided

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {"equal": self.equal, **_with_text_keys(asdict(self))}


def shortened(first: Any, second: Any) -> tuple[str, str]:
    """Return two values as texts that fit a line and, if they differ, show where."""
    texts = str(first), str(second)
    if max(map(len, texts)) <= _LONGEST_VALUE:
        return texts
    pairs = enumerate(zip(*texts, strict=False))
    at = next((place for place, (one, other) in pairs if one != other), min(map(len, texts)))
    start = max(0, at - _LONGEST_VALUE // 2)
    return _window(texts[0], start), _window(texts[1], start)


def _window(text: str, start: int) -> str:
    end = start + _LONGEST_VALUE
    return ("..." if start else "") + text[start:end] + ("..." if end < len(text) else "")


def _with_text_keys(value: Any) -> Any:
    """Return a value whose maps have texts as keys, as JSON has them."""
    if isinstance(value, Mapping):
        return {str(key): _with_text_keys(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_with_text_keys(each) for each in value]
    return value
