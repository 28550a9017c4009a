"""Dead letters that Kafka can always carry.

A dead letter keeps the key and value of its record. Two kinds of record cannot be kept so: one with neither key nor
value, which no client sends, and one that client or broker find too large. The first gets an empty value. Of the
second the headers keep size, SHA-256 and first bytes of each large part in its place.
"""

from hashlib import sha256

from millrace.kernel.contracts import DeadLetterHeaders
from millrace.kernel.errors import PoisonError
from millrace.runtime.records import OutgoingRecord, SourceRecord

# A part up to this size stays as it is: with the headers the record then fits into 4 KB, less than any topic is
# configured for.
LARGEST_PART_BYTES = 1024
# First bytes of a part that is described: enough to recognise what wrote it.
START_BYTES = 128
# An error sentence may quote an exception of any length.
_LONGEST_ERROR_CHARS = 500


def dead_letter(topic: str, record: SourceRecord, poison: PoisonError) -> OutgoingRecord:
    """Return the dead letter of a record: its key and value, with reason and origin in the headers.

    Args:
        topic: The dead-letter topic.
        record: What cannot be used.
        poison: Why.
    """
    headers = DeadLetterHeaders(
        reason=poison.reason,
        error=_shortened(str(poison)),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
    )
    value = b"" if record.key is None and record.value is None else record.value
    return OutgoingRecord(topic, record.key, value, headers.to_kafka())


def described(letter: OutgoingRecord) -> OutgoingRecord:
    """Return a dead letter that client or broker refused as too large, with its large parts described in headers."""
    parts = {"key": letter.key, "value": letter.value}
    large = {name: part for name, part in parts.items() if part is not None and len(part) > LARGEST_PART_BYTES}
    description = {
        f"{name}_{field}": content for name, part in large.items() for field, content in _description(part).items()
    }
    headers = DeadLetterHeaders.from_kafka(letter.headers).model_copy(update=description).to_kafka()
    key, value = (None if name in large else part for name, part in parts.items())
    return OutgoingRecord(letter.topic, key, b"" if key is None and value is None else value, headers)


def _description(part: bytes) -> dict[str, object]:
    start = part[:START_BYTES].decode("utf-8", "backslashreplace")
    return {"bytes": len(part), "sha256": sha256(part).hexdigest(), "start": start}


def _shortened(sentence: str) -> str:
    """Return an error sentence that fits into a header, whatever the exception that it quotes."""
    sentence = sentence.encode("utf-8", "backslashreplace").decode()
    if len(sentence) <= _LONGEST_ERROR_CHARS:
        return sentence
    return f"{sentence[:_LONGEST_ERROR_CHARS]}... ({len(sentence)} characters)"
