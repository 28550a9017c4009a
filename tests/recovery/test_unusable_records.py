"""Records that no client should write stop nobody: worker, keeper and log writer pass over them alike."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from recovery_harness import DEADLINE_S, Role, Stores, own_settings, read_topic, wait_until

from millrace.kernel.contracts import DeadLetterHeaders
from millrace.kernel.settings import Settings
from millrace.kernel.topic_admin import ensure_topics
from millrace.stores.event_log import open_event_log

pytestmark = [pytest.mark.services, pytest.mark.slow]

PARTITION = 1
# More than client and broker take in one record. Compressed it is small, and so gets in.
LARGE = b"x" * 1_500_000
EVENT = {"event_id": "e", "user_id": "u", "item_id": "i1", "type": "view", "ts_ms": 1_600_000_000_000}
ITEM = {"item_id": "i2", "title": "Heat"}


def encoded(content: dict[str, Any], **others: Any) -> bytes:
    return json.dumps({**content, **others}).encode()


# Key and value of records that cannot be used, with the parts too large to be carried.
UNUSABLE_EVENTS: list[tuple[bytes | None, bytes | None, set[str]]] = [
    (None, None, set()),
    (b"u", None, set()),
    (None, b"", set()),
    (None, LARGE, {"value"}),
    (LARGE, None, {"key"}),
    (LARGE, encoded(EVENT, event_id="large key"), {"key"}),
    (LARGE, LARGE, {"key", "value"}),
]
UNUSABLE_ITEMS: list[tuple[bytes | None, bytes | None, set[str]]] = [
    (None, None, set()),
    (LARGE, None, {"key"}),
    (None, LARGE, {"value"}),
]


def publish(settings: Settings) -> None:
    """Write a usable record before and after the unusable ones, all into one partition."""
    producer = Producer(
        {
            "bootstrap.servers": settings.kafka_bootstrap,
            "compression.type": "gzip",
            "message.max.bytes": 10 * len(LARGE),
        }
    )
    topics = settings.topics
    for topic, usable, unusable in (
        (topics.events, [encoded(EVENT, event_id="first"), encoded(EVENT, event_id="last")], UNUSABLE_EVENTS),
        (topics.items, [encoded(ITEM), encoded(ITEM, item_id="i3")], UNUSABLE_ITEMS),
    ):
        records = [(None, usable[0]), *((key, value) for key, value, _ in unusable), (None, usable[1])]
        for key, value in records:
            producer.produce(topic, value, key, partition=PARTITION)
            # Each in a batch of its own: a batch is what the broker limits.
            assert producer.flush(DEADLINE_S) == 0


@pytest.fixture(params=["kafka_broker", "local_kafka"])
def settings(request: pytest.FixtureRequest, redis_server: str, tmp_path: Path) -> Settings:
    """Return settings of an embedded and of a real broker; only the real one has a limit of its own."""
    sizes = {"kafka_fetch_wait_ms": 10, "statistics_flush_ms": 20}
    made = own_settings(tmp_path, request.getfixturevalue(request.param), redis_server, **sizes)
    if request.param == "local_kafka":
        ensure_topics(made)
    return made


@pytest.fixture
def roles(settings: Settings, tmp_path: Path) -> Iterator[dict[str, Path]]:
    """Run worker, keeper and log writer; return their logs."""
    logs = {name: tmp_path / f"{name}.log" for name in ("worker", "statistics", "log-writer")}
    with ExitStack() as running:
        for name, log in logs.items():
            running.enter_context(Role(name, settings, log))
        yield logs


def logged(settings: Settings) -> list[str]:
    with closing(open_event_log(settings)) as log:
        return [entry.event.event_id for part in log.read({}) for entry in part]


def test_every_role_passes_over_them_and_the_letters_say_what_they_were(
    settings: Settings, roles: dict[str, Path]
) -> None:
    publish(settings)
    stores, ends = Stores(settings), {PARTITION: len(UNUSABLE_EVENTS) + 2}
    wait_until(lambda: stores.done("worker", ends), "the worker has handled all", roles["worker"])
    wait_until(lambda: stores.done("statistics", ends), "the keeper has learned all", roles["statistics"])
    wait_until(lambda: logged(settings) == ["first", "last"], "the log is complete", roles["log-writer"])
    wait_until(lambda: {"i2", "i3"} <= set(stores.item_ids().values()), "the items are there", roles["worker"])

    expected = [*UNUSABLE_EVENTS, *UNUSABLE_ITEMS]
    letters = read_topic(settings, settings.topics.dead_letters)
    found = {}
    for letter in letters:
        headers = DeadLetterHeaders.from_kafka(letter.headers())
        found[headers.topic, headers.offset] = letter, headers
    assert len(found) == len(expected)
    for topic, unusable in (
        (settings.topics.events, UNUSABLE_EVENTS),
        (settings.topics.items, UNUSABLE_ITEMS),
    ):
        for offset, (key, value, large) in enumerate(unusable, start=1):
            letter, headers = found[topic, offset]
            check_part(letter.key(), headers.key_bytes, headers.key_sha256, key, "key" in large)
            check_part(letter.value(), headers.value_bytes, headers.value_sha256, value, "value" in large)


def check_part(
    carried: bytes | None, size_bytes: int | None, digest: str | None, original: bytes | None, large: bool
) -> None:
    """A part is carried as it was (a missing one perhaps as an empty one), or described."""
    if large:
        assert original is not None
        assert (carried or None, size_bytes, digest) == (None, len(original), sha256(original).hexdigest())
    else:
        assert (carried or None, size_bytes, digest) == (original or None, None, None)
