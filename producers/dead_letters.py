"""Reads the dead-letter topic and publishes records that have become valid to their source topics again."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from millrace.kernel.contracts import DeadLetterHeaders, decode_event, decode_item
from millrace.kernel.errors import ConfigurationError, PoisonError, Reason
from millrace.kernel.settings import Settings
from millrace.kernel.topic_reader import TopicReader
from millrace.producers.publisher import ActivityPublisher
from millrace.producers.records import now_ms

_READ_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter: a record that could not be used.

    Args:
        partition: Where it lies in the dead-letter topic.
        offset: Where it lies in the dead-letter topic.
        key: The original key.
        value: The original value.
        headers: Why, and where it came from.
    """

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: DeadLetterHeaders

    @property
    def place(self) -> str:
        """`partition:offset`, as commands name it."""
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class ReplayedLetters:
    """What became of dead letters.

    Args:
        sent: Published to their topics again, confirmed.
        unusable: Would become dead letters again, each with the sentence; not sent.
    """

    sent: tuple[DeadLetter, ...]
    unusable: tuple[tuple[DeadLetter, str], ...]


def read_dead_letters(settings: Settings, timeout_s: float = _READ_TIMEOUT_S) -> Iterator[DeadLetter]:
    """Yield what the dead-letter topic holds now.

    Raises:
        TransientError: No broker answers.
    """
    with TopicReader(settings, settings.topics.dead_letters, "earliest") as reader:
        for record in reader.read_to_end(timeout_s):
            letter = _letter(record)
            if letter is not None:
                yield letter


def select(letters: Iterable[DeadLetter], reason: Reason | None = None, places: Iterable[str] = ()) -> list[DeadLetter]:
    """Return the letters with this reason and at these places, oldest first; no condition keeps all.

    Raises:
        ConfigurationError: A place holds no dead letter.
    """
    wanted = set(places)
    found = [letter for letter in letters if not wanted or letter.place in wanted]
    missing = wanted - {letter.place for letter in found}
    if missing:
        raise ConfigurationError(f"There is no dead letter at {', '.join(sorted(missing))}; see `millrace dlq list`.")
    kept = [letter for letter in found if reason is None or letter.headers.reason is reason]
    return sorted(kept, key=lambda letter: (letter.headers.failed_at_ms, letter.partition, letter.offset))


def corrected(letter: DeadLetter, value: bytes, settings: Settings) -> DeadLetter:
    """Return the letter with another value, under the key that belongs to it.

    Raises:
        PoisonError: The corrected value is no better.
    """
    if letter.headers.topic == settings.topics.items:
        return replace(letter, key=decode_item(value, settings.event_policy).item_id.encode(), value=value)
    return replace(letter, key=decode_event(value, now_ms(), settings.event_policy).user_id.encode(), value=value)


def replay_dead_letters(
    publisher: ActivityPublisher,
    letters: Iterable[DeadLetter],
    settings: Settings,
    on_sent: Callable[[DeadLetter], object] | None = None,
) -> ReplayedLetters:
    """Publish letters to their topics again, except those that would become dead letters again.

    Args:
        publisher: Where to send.
        letters: What to send.
        settings: Decides what is usable by now: a new event type may have been configured since.
        on_sent: Called after each confirmation.

    Raises:
        DeliveryError: The broker did not confirm a record; the ones before were sent.
    """
    sent: list[DeadLetter] = []
    unusable: list[tuple[DeadLetter, str]] = []
    for letter in letters:
        problem = _problem(letter, settings)
        if problem is not None:
            unusable.append((letter, problem))
            continue
        publisher.publish_raw(letter.key, letter.value, topic=letter.headers.topic)
        sent.append(letter)
        if on_sent is not None:
            on_sent(letter)
    return ReplayedLetters(tuple(sent), tuple(unusable))


def _problem(letter: DeadLetter, settings: Settings) -> str | None:
    topics, policy = settings.topics, settings.event_policy
    if letter.headers.topic not in (topics.events, topics.items):
        return f"It came from the topic {letter.headers.topic}, which is not one of this installation."
    if letter.headers.key_bytes is not None and letter.key is None:
        return "Its key was too large to be kept, and the key decides the partition; give a corrected value with --fix."
    try:
        if letter.headers.topic == topics.items:
            decode_item(letter.value, policy)
        else:
            decode_event(letter.value, now_ms(), policy, letter.key)
    except PoisonError as error:
        return str(error)
    return None


def _letter(record: Any) -> DeadLetter | None:
    try:
        headers = DeadLetterHeaders.from_kafka(record.headers)
    except ValueError:
        return None  # not written by Millrace: it names no source topic
    return DeadLetter(record.partition, record.offset, record.key, record.value, headers)
