"""Creates the topics, with a stated number of partitions and replicas."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from millrace.kernel.errors import ConfigurationError, FatalError, TransientError, no_broker
from millrace.kernel.kafka_client import kafka_options
from millrace.kernel.settings import Settings

_ANSWER_MS = 30_000


def standing_topics(settings: Settings) -> tuple[str, ...]:
    """Return the topics that a running system reads or writes."""
    topics = settings.topics
    return topics.events, topics.items, topics.recommendations, topics.dead_letters


def ensure_topics(settings: Settings, names: Sequence[str] | None = None) -> list[str]:
    """Create the topics that are missing, with the configured partitions and replicas.

    Args:
        settings: Addresses and numbers.
        names: Which ones; default: `standing_topics`.

    Returns:
        A sentence for each topic that is there with another number of partitions: it is left as it is.

    Raises:
        ConfigurationError: The brokers refuse the numbers.
        FatalError: The broker cannot describe its topics, as the embedded one cannot.
        TransientError: Kafka does not answer.
    """
    wanted = list(names) if names is not None else list(standing_topics(settings))
    with _admin(settings) as admin:
        there = _partitions(admin, wanted)
        missing = [name for name in wanted if name not in there]
        if missing:
            _create(admin, settings, missing)
    return [
        f"The topic {name} has {count} partitions, not {settings.topic_partitions} (MILLRACE_TOPIC_PARTITIONS); it was "
        "left as it is."
        for name, count in there.items()
        if count != settings.topic_partitions
    ]


def grow_topic(settings: Settings, name: str, partitions: int) -> None:
    """Give a topic more partitions; one that has them is left as it is.

    Raises:
        ConfigurationError: There is no such topic, or it has more partitions: none can be taken away.
        FatalError: The broker cannot describe its topics, as the embedded one cannot.
        TransientError: Kafka does not answer.
    """
    from kafka.admin import NewPartitions
    from kafka.errors import KafkaError

    with _admin(settings) as admin:
        count = _partitions(admin, [name]).get(name)
        if count is None or count > partitions:
            there = "does not exist" if count is None else f"has {count} partitions, and none can be taken away"
            raise ConfigurationError(f"The topic {name} {there}; it cannot be given {partitions}.")
        if count == partitions:
            return
        try:
            admin.create_partitions({name: NewPartitions(partitions)}, timeout_ms=_ANSWER_MS)
        except KafkaError as error:
            raise TransientError(f"Kafka did not give {name} {partitions} partitions ({error}); try again.") from error


def _partitions(admin: Any, names: Sequence[str]) -> dict[str, int]:
    """Return the number of partitions of the topics that exist."""
    from kafka.errors import KafkaError

    try:
        existing = set(admin.list_topics()) & set(names)
        described = admin.describe_topics(sorted(existing)) if existing else []
    except KafkaError as error:
        raise TransientError(f"Kafka does not tell which topics it has ({error}); try again.") from error
    except ValueError as error:
        # librdkafka's mock cluster answers with numbers that the protocol does not have.
        raise FatalError(
            f"The broker cannot describe its topics ({error}); the embedded one need not, since it creates each topic "
            "on first use."
        ) from None
    return {topic["topic"]: len(topic["partitions"]) for topic in described}


def _create(admin: Any, settings: Settings, names: Sequence[str]) -> None:
    from kafka.admin import NewTopic
    from kafka.errors import InvalidReplicationFactorError, KafkaError, TopicAlreadyExistsError

    topics = [NewTopic(name, settings.topic_partitions, settings.topic_replication) for name in names]
    try:
        admin.create_topics(topics, timeout_ms=_ANSWER_MS)
    except TopicAlreadyExistsError:
        return  # Somebody else was quicker.
    except InvalidReplicationFactorError:
        raise ConfigurationError(
            f"Kafka at {settings.kafka_bootstrap} has too few brokers for {settings.topic_replication} replicas; set "
            "MILLRACE_TOPIC_REPLICATION."
        ) from None
    except KafkaError as error:
        kind = TransientError if error.retriable else FatalError
        raise kind(f"Kafka did not create {', '.join(names)} ({error}).") from error


@contextmanager
def _admin(settings: Settings) -> Iterator[Any]:
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        admin = KafkaAdminClient(request_timeout_ms=_ANSWER_MS, **kafka_options(settings))
    except (KafkaError, ValueError, AssertionError) as error:
        raise no_broker(settings.kafka_bootstrap, error) from error
    try:
        yield admin
    finally:
        admin.close()
