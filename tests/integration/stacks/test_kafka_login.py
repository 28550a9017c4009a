"""The settings of TLS and SASL reach every client: publisher, reader, admin, and the worker's Faust app."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from secured_kafka import SecuredKafka, secured_kafka

from millrace.kernel.errors import ConfigurationError, TransientError
from millrace.kernel.settings import Settings
from millrace.kernel.topic_admin import ensure_topics
from millrace.kernel.topic_reader import TopicReader
from millrace.producers import ActivityPublisher

pytestmark = [pytest.mark.services, pytest.mark.slow]

DEADLINE_S = 90.0


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    with secured_kafka(tmp_path_factory.mktemp("secured-kafka")) as cluster:
        yield cluster


def of_its_own(kafka: SecuredKafka, **changes: object) -> Settings:
    mark = uuid.uuid4().hex[:10]
    return kafka.client_settings(
        topic_prefix=f"t{mark}.", group_prefix=f"t{mark}-", redis_prefix=f"t{mark}:", **changes
    )


def create_topics(settings: Settings) -> None:
    """Create topics; a client gives up a first handshake that a busy machine takes seconds for."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            ensure_topics(settings)
        except TransientError:
            if time.monotonic() > deadline:
                raise
        else:
            return


def read(settings: Settings, topic: str) -> list[bytes]:
    with TopicReader(settings, topic, "earliest") as reader:
        return [record.key for record in reader.read_to_end(DEADLINE_S)]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_the_sdk_encrypts_and_logs_in(kafka: SecuredKafka, mechanism: str) -> None:
    settings = of_its_own(kafka, kafka_sasl_mechanism=mechanism)
    create_topics(settings)
    with ActivityPublisher(settings) as publisher:
        publisher.rate("ann", "i1", 4.5)
    assert read(settings, settings.topics.events) == [b"ann"]


def test_a_wrong_password_and_a_missing_certificate_are_refused(kafka: SecuredKafka) -> None:
    for wrong in ({"kafka_sasl_password": "guessed"}, {"kafka_ssl_ca_file": None}):
        with (
            pytest.raises(TransientError),
            ActivityPublisher(of_its_own(kafka, **wrong), delivery_timeout_s=2) as publisher,
        ):
            publisher.rate("ann", "i1", 4.5)
    with pytest.raises(ConfigurationError, match="MILLRACE_KAFKA_SASL_USERNAME"):
        ActivityPublisher(of_its_own(kafka, kafka_sasl_username=""))


def test_a_worker_answers_through_it(kafka: SecuredKafka, redis_server: str, tmp_path: Path) -> None:
    settings = of_its_own(kafka, redis_url=redis_server, triton_url="in-process", home=tmp_path)
    create_topics(settings)
    with ActivityPublisher(settings) as publisher, (tmp_path / "worker.log").open("wb") as log:
        publisher.rate("ann", "i1", 4.5)
        worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "millrace", "worker"],
            env={**os.environ, **settings.environment()},
            stdout=log,
            stderr=log,
        )
        try:
            with TopicReader(settings, settings.topics.recommendations, "earliest") as reader:
                records = reader.poll(DEADLINE_S)
        finally:
            worker.terminate()
            ended = worker.wait(20)
    said = (tmp_path / "worker.log").read_text()[-3000:]
    assert [record.key for record in records] == [b"ann"], said
    assert ended == 0, said
