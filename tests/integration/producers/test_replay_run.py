import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import orjson
import pytest
from answering import AnsweringWorker

from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.settings import Settings
from millrace.kernel.topic_reader import TopicReader
from millrace.producers import ActivityPublisher
from millrace.producers.replay import Answer, Replayer, ReplayOptions, ReplayResult

pytestmark = pytest.mark.services


def events(count: int, users: int) -> list[ActivityEvent]:
    return [
        ActivityEvent(
            event_id=f"e{n}", user_id=f"u{n % users}", item_id=f"i{n}", type="rating", value=3.0, ts_ms=n * 1000
        )
        for n in range(count)
    ]


def replay(settings: Settings, stream: list[ActivityEvent], options: ReplayOptions, **hooks: object) -> ReplayResult:
    with ActivityPublisher(settings, linger_ms=0) as publisher:
        return Replayer(settings, publisher, options, **hooks).run(iter(stream))  # type: ignore[arg-type]


def test_a_closed_loop_sends_all_and_hears_of_all(settings: Settings) -> None:
    answers: list[Answer] = []
    seen: list[int] = []
    with AnsweringWorker(settings):
        result = replay(
            settings,
            events(300, 10),
            ReplayOptions(closed_loop=True),
            on_answer=answers.append,
            on_progress=lambda progress: seen.append(progress.published),
        )
    assert (result.published, result.answered, result.unanswered, result.repeated) == (300, 300, 0, 0)
    assert {answer.event.event_id for answer in answers} == {f"e{n}" for n in range(300)}
    assert all(orjson.loads(one.value)["event_id"] == one.event.event_id for one in answers)
    assert result.by_version == {"v000001": 300}
    assert len(result.latencies_ms) == 300
    assert all(0 <= latency_ms < 30_000 for latency_ms in result.latencies_ms)
    assert seen[-1] == 300
    assert seen == sorted(seen)


def test_a_closed_loop_never_sends_a_users_event_before_the_answer(settings: Settings) -> None:
    waiting: dict[str, str] = {}
    broken: list[str] = []

    class Watching(ActivityPublisher):
        def publish_async(self, event, on_delivery=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
            if event.user_id in waiting:
                broken.append(event.event_id)
            waiting[event.user_id] = event.event_id
            return super().publish_async(event, on_delivery)

    with AnsweringWorker(settings), Watching(settings, linger_ms=0) as publisher:
        replayer = Replayer(
            settings,
            publisher,
            ReplayOptions(closed_loop=True),
            on_answer=lambda answer: waiting.pop(answer.event.user_id),
        )
        result = replayer.run(iter(events(120, 7)))
    assert result.answered == 120
    assert broken == []


def test_a_silent_user_holds_nobody_up_beyond_the_deadline(settings: Settings) -> None:
    with AnsweringWorker(settings, silent_users=frozenset({"u1"})):
        result = replay(settings, events(20, 5), ReplayOptions(closed_loop=True, deadline_s=0.3))
    assert (result.published, result.answered, result.unanswered) == (20, 16, 4)


def test_repeated_lists_are_counted_and_answer_once(settings: Settings) -> None:
    with AnsweringWorker(settings, copies=2):
        result = replay(settings, events(60, 6), ReplayOptions(closed_loop=True))
    assert result.answered == 60
    assert 50 <= result.repeated <= 60  # the last copies may come after the end


def test_a_rate_is_kept(settings: Settings) -> None:
    with AnsweringWorker(settings):
        result = replay(settings, events(300, 50), ReplayOptions(rate=150.0))
    assert result.events_per_s == pytest.approx(150, rel=0.1)
    assert result.answered == 300


def test_order_within_a_user_and_all_events_arrive(settings: Settings) -> None:
    replay(settings, events(500, 9), ReplayOptions(watch=False, max_lag=0))
    with TopicReader(settings, settings.topics.events, "earliest") as reader:
        order = defaultdict(list)
        for record in reader.read_to_end(20):
            order[record.key].append(int(orjson.loads(record.value)["event_id"][1:]))
    assert sum(map(len, order.values())) == 500
    assert all(numbers == sorted(numbers) for numbers in order.values())


def test_a_slow_consumer_holds_the_replay_back(settings: Settings) -> None:
    with AnsweringWorker(settings):
        replay(settings, events(50, 5), ReplayOptions(closed_loop=True))  # its group has committed a position
    stop = threading.Event()
    reached: list[int] = []

    def watch(result: ReplayResult) -> None:
        reached.append(result.published)
        if result.lag is not None and result.lag > 100 and reached[-5:] == [result.published] * 5:
            stop.set()

    stream = (event for event in events(1_000_000, 50))
    with ActivityPublisher(settings, linger_ms=0) as publisher:
        options = ReplayOptions(rate=500.0, max_lag=100, watch=False)
        deadline = threading.Timer(60, stop.set)
        deadline.start()
        result = Replayer(settings, publisher, options, on_progress=watch).run(stream, stop)
        deadline.cancel()
    assert result.interrupted
    assert result.lagging_role == "worker"
    assert 100 < result.published < 5_000


def test_the_command_is_interrupted_and_resumed_without_a_gap(settings: Settings, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "millrace",
        "replay",
        "--synthetic",
        "users=20,items=50,events=600",
        "--rate",
        "200",
    ]
    environment = {"PATH": "/usr/bin:/bin", **settings.environment()}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    states = tmp_path / "replays"
    deadline = time.monotonic() + 60
    while not any(orjson.loads(path.read_bytes())["position"] > 100 for path in states.glob("*.json")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()  # type: ignore[union-attr]
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 130, shown
    assert "--resume" in shown

    report = tmp_path / "report.json"
    again = subprocess.run(
        [*command, "--resume", "--report", str(report)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert not list(states.glob("*.json"))
    with TopicReader(settings, settings.topics.events, "earliest") as reader:
        ids = [orjson.loads(record.value)["event_id"] for record in reader.read_to_end(20)]
    assert {f"syn-0-{n}" for n in range(600)} == set(ids)
    assert len(ids) < 700
    assert orjson.loads(report.read_bytes())["events_published"] < 500
