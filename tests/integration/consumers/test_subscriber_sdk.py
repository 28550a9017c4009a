import threading
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson
import pytest
from kafka import KafkaProducer
from typer.testing import CliRunner
from waiting import until

from millrace.apps.cli.app import build_app
from millrace.consumers.subscriber import Received, RecommendationSubscriber
from millrace.kernel.errors import ConfigurationError
from millrace.kernel.settings import Settings

pytestmark = pytest.mark.services


class Worker:
    """Publishes lists as a worker does."""

    def __init__(self, settings: Settings) -> None:
        self._topics = settings.topics
        self._producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap, metrics_enabled=False)

    def send(self, number: int, user: str = "7", **changes: Any) -> None:
        fields = {
            "recommendation_id": f"r{number}",
            "user_id": user,
            "event_id": f"e{number}",
            "source_partition": 0,
            "source_offset": number,
            "event_ts_ms": 1,
            "received_ts_ms": 1_000,
            "generated_ts_ms": 1_004,
            "model_version": "v000001",
            "arm": "champion",
            "items": [
                {
                    "item_id": "318",
                    "rank": 1,
                    "score": 2.5,
                    "predicted_rating": 4.4,
                    "reason": {"code": "because_you_rated", "item_id": "527"},
                },
                {"item_id": "9", "rank": 2, "score": 1.0, "reason": {"code": "trending"}},
            ],
            **changes,
        }
        self.raw(user, orjson.dumps(fields))

    def raw(self, user: str, value: bytes) -> None:
        self._producer.send(self._topics.recommendations, value, key=user.encode(), timestamp_ms=1_012).get(10)

    def item(self, item_id: str, title: str) -> None:
        value = orjson.dumps({"item_id": item_id, "title": title, "year": 1994})
        self._producer.send(self._topics.items, value, key=item_id.encode()).get(10)

    def close(self) -> None:
        self._producer.close(5)


@pytest.fixture
def worker(settings: Settings) -> Iterator[Worker]:
    worker = Worker(settings)
    yield worker
    worker.close()


def ids(subscriber: RecommendationSubscriber, count: int) -> list[str]:
    return [one.recommendation_id for one in islice(subscriber, count)]


def test_latest_misses_nothing_from_its_construction_on(settings: Settings, worker: Worker) -> None:
    worker.send(0)
    with RecommendationSubscriber(settings) as subscriber:
        worker.send(1)
        worker.send(2)
        assert ids(subscriber, 2) == ["r1", "r2"]


def test_earliest_reads_what_is_kept(settings: Settings, worker: Worker) -> None:
    for number in range(3):
        worker.send(number)
    with RecommendationSubscriber(settings, start="earliest") as subscriber:
        assert ids(subscriber, 3) == ["r0", "r1", "r2"]


def test_repeats_and_other_users_and_broken_records_are_left_out(
    settings: Settings, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (0, 1, 1, 0):
        worker.send(number)
    worker.send(5, user="8")
    worker.raw("7", b"{")
    worker.send(2)
    with RecommendationSubscriber(settings, start="earliest", user_id="7") as subscriber:
        assert ids(subscriber, 3) == ["r0", "r1", "r2"]
        assert subscriber.duplicates == 2
    assert "is no recommendation; skipped" in caplog.text


def test_it_resumes_behind_what_was_handled(settings: Settings, worker: Worker) -> None:
    for number in range(5):
        worker.send(number)
    seen: list[str] = []
    take = lambda received: seen.append(received.recommendation.recommendation_id)  # noqa: E731
    for _ in range(2):
        with RecommendationSubscriber(settings, start="resume", group="mail") as subscriber:
            assert subscriber.run(take, limit=2) == 2
    with RecommendationSubscriber(settings, start="resume", group="mail") as subscriber:
        assert subscriber.run(take, limit=1) == 1
    assert seen == ["r0", "r1", "r2", "r3", "r4"]


def test_what_was_not_handled_comes_again(settings: Settings, worker: Worker) -> None:
    worker.send(0)
    worker.send(1)

    def fail(received: Received) -> None:
        if received.recommendation.recommendation_id == "r1":
            raise RuntimeError("mail server away")

    with (
        pytest.raises(RuntimeError),
        RecommendationSubscriber(settings, start="resume", group="mail") as subscriber,
    ):
        subscriber.run(fail)
    with RecommendationSubscriber(settings, start="resume", group="mail") as subscriber:
        assert ids(subscriber, 1) == ["r1"]


def test_a_loop_that_is_left_goes_on_with_the_next_list(settings: Settings, worker: Worker) -> None:
    for number in range(5):
        worker.send(number)
    with RecommendationSubscriber(settings, start="resume", group="mail") as subscriber:
        assert [next(iter(subscriber)).recommendation_id for _ in range(2)] == ["r0", "r1"]
        for recommendation in subscriber:
            assert recommendation.recommendation_id == "r2"
            break
        assert subscriber.run(lambda received: None, limit=1) == 1
    with RecommendationSubscriber(settings, start="resume", group="mail") as subscriber:
        assert ids(subscriber, 1) == ["r4"]


def test_a_callback_that_failed_gets_its_list_again(settings: Settings, worker: Worker) -> None:
    for number in range(3):
        worker.send(number)
    seen: list[str] = []

    def fail_once(received: Received) -> None:
        seen.append(received.recommendation.recommendation_id)
        if seen == ["r0", "r1"]:
            raise RuntimeError("mail server away")

    with RecommendationSubscriber(settings, start="resume", group="mail") as subscriber:
        with pytest.raises(RuntimeError):
            subscriber.run(fail_once)
        assert subscriber.run(fail_once, limit=2) == 2
    assert seen == ["r0", "r1", "r1", "r2"]


def test_lists_handled_out_of_order_are_resumed_at_the_first_open_one(settings: Settings, worker: Worker) -> None:
    for number in range(3):
        worker.send(number)
    with RecommendationSubscriber(settings, start="resume", group="mail") as subscriber:
        received: list[Received] = []
        until(lambda: received.extend(subscriber.poll(0.1)) or len(received) == 3, "three lists")
        subscriber.handled(received[0])
        subscriber.handled(received[2])
    with RecommendationSubscriber(settings, start="resume", group="mail") as subscriber:
        assert ids(subscriber, 2) == ["r1", "r2"]


@pytest.mark.parametrize("arguments", [{"start": "foo"}, {"group": " "}, {"user_id": ""}, {"user_id": 7}])
def test_arguments_without_a_meaning_are_refused(settings: Settings, arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        RecommendationSubscriber(settings, **arguments)


def test_a_filtered_group_does_not_read_other_users_lists_again(settings: Settings, worker: Worker) -> None:
    for number in range(3):
        worker.send(number, user="8")
    with RecommendationSubscriber(settings, start="resume", group="g", user_id="7") as subscriber:
        worker.send(9, user="7")
        assert subscriber.run(lambda received: None, limit=1) == 1
    worker.send(10, user="8")
    with RecommendationSubscriber(settings, start="resume", group="g") as subscriber:
        assert ids(subscriber, 1) == ["r10"]


def test_groups_are_independent(settings: Settings, worker: Worker) -> None:
    worker.send(0)
    for group in ("a", "b"):
        with RecommendationSubscriber(settings, start="resume", group=group) as subscriber:
            assert ids(subscriber, 1) == ["r0"]


def test_a_callback_loop_is_stopped_from_another_thread(settings: Settings, worker: Worker) -> None:
    stop = threading.Event()
    with RecommendationSubscriber(settings) as subscriber:
        timer = threading.Timer(0.2, stop.set)
        timer.start()
        assert subscriber.run(lambda received: None, stop=stop) == 0
        timer.join()


def test_latency_is_between_record_timestamps(settings: Settings, worker: Worker) -> None:
    worker.send(0)
    with RecommendationSubscriber(settings, start="earliest") as subscriber:
        received = []
        subscriber.run(received.append, limit=1)
    assert received[0].latency_ms == 12


def test_the_command_shows_titles_reasons_and_latency(settings: Settings, worker: Worker) -> None:
    worker.item("318", "The Shawshank Redemption")
    worker.item("527", "Schindler's List")
    worker.send(0)
    arguments = ["subscribe", "--from", "earliest", "--user", "7", "--limit", "1"]
    result = CliRunner(env={"COLUMNS": "120"}).invoke(build_app(), arguments)
    assert result.exit_code == 0, result.output
    for text in (
        "user 7",
        "12 ms after",
        "The Shawshank Redemption (1994)",
        "Schindler's List (1994)",
        "★★★★☆ 4.4",
        "trending",
        "v000001",
    ):
        assert text in result.output


def test_the_command_writes_json_lines(settings: Settings, worker: Worker) -> None:
    worker.send(0)
    worker.send(1)
    result = CliRunner().invoke(build_app(), ["subscribe", "--from", "earliest", "--json", "--limit", "2"])
    assert [orjson.loads(line)["recommendation_id"] for line in result.stdout.splitlines()] == ["r0", "r1"]
