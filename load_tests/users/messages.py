"""What Locust and the process that holds the Kafka connections say to each other: one JSON object to a line."""

from dataclasses import dataclass
from enum import StrEnum

import orjson

from millrace.load_tests.users.matching import Counts


class Kind(StrEnum):
    """What a reply is about."""

    READY = "ready"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    ANSWERED = "answered"
    UNMATCHED = "unmatched"
    BROKEN = "broken"
    COUNTS = "counts"


@dataclass(frozen=True, slots=True)
class Send:
    """Publish an event and watch for its list.

    Args:
        event_id: Unique.
        user_id: Who acted.
        item_id: On what.
        type: `rating`, `view` ...
        value: The rating, None for other types.
        sent_s: When the user acted, by the monotonic clock that all processes of a machine share.
    """

    event_id: str
    user_id: str
    item_id: str
    type: str
    value: float | None
    sent_s: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of an event.

    Args:
        kind: See `Kind`.
        event_id: Which event; empty where the reply is about none.
        at_s: When it was known, by the monotonic clock.
        detail: Why, for a failure.
        items: The list, best first.
        size_bytes: Length of the list's record.
        fallback: Why the model did not score the list, if so.
        counts: What was counted; with the last reply.
    """

    kind: Kind
    event_id: str = ""
    at_s: float = 0.0
    detail: str = ""
    items: tuple[str, ...] = ()
    size_bytes: int = 0
    fallback: str | None = None
    counts: Counts | None = None


def encode(message: Send | Reply) -> bytes:
    """Return a message as a line."""
    return orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE)


def decode_send(line: bytes) -> Send:
    """Return the request on a line."""
    return Send(**orjson.loads(line))


def decode_reply(line: bytes) -> Reply:
    """Return the reply on a line."""
    fields = orjson.loads(line)
    counts = Counts(**fields["counts"]) if fields["counts"] else None
    return Reply(**{**fields, "kind": Kind(fields["kind"]), "items": tuple(fields["items"]), "counts": counts})
