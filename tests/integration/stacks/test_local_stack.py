"""The local stack keeps what it holds, brings back what ends, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer
from local_servers import started
from processes import running
from waiting import until

from millrace.apps.stacks.local import LocalStack
from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.settings import Settings, load_settings
from millrace.kernel.topic_admin import ensure_topics
from millrace.kernel.topic_reader import TopicReader
from millrace.stores.event_log import LoggedEvent, open_event_log

pytestmark = [pytest.mark.services, pytest.mark.slow]

DEADLINE_S = 120.0


def write(settings: Settings) -> None:
    """Put something into each server."""
    import redis

    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    producer.produce(settings.topics.events, b"kept", partition=2)
    assert producer.flush(30) == 0
    with redis.Redis.from_url(settings.redis_url) as client:
        client.set("kept", "yes")
    event = ActivityEvent(event_id="e", user_id="u", item_id="i", type="view", ts_ms=1)
    with closing(open_event_log(settings)) as log:
        log.append([LoggedEvent(2, 0, 1, event)])


def kept(settings: Settings) -> list[bool]:
    """Return what is still there, by server."""
    import redis

    with TopicReader(settings, settings.topics.events, "earliest") as reader:
        records = sum(reader.end_offsets().values())
    with redis.Redis.from_url(settings.redis_url) as client, closing(open_event_log(settings)) as log:
        return [records == 1, client.get("kept") == b"yes", log.end() == {2: 0}]


def test_it_keeps_its_data_comes_back_and_leaves_nothing(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, triton=False)
    started(stack.start, "the local stack")
    with stack:
        write(stack.settings)
        assert load_settings(home=tmp_path).event_log_url == stack.settings.event_log_url
        with TopicReader(stack.settings, stack.settings.topics.dead_letters, "earliest") as reader:
            assert len(reader.partitions) == stack.settings.topic_partitions
        more = stack.settings.model_copy(update={"topic_partitions": 7})
        assert "has 4 partitions, not 7" in ensure_topics(more)[0]

        # Servers that crash are started again where they were, with what they held.
        addresses = stack.settings
        victims = [stack.kafka.brokers[0], stack.redis]
        for victim in victims:
            assert victim.child is not None
            victim.child.send_signal(signal.SIGKILL)
            assert victim.child.wait(10)
        sentences = stack.supervise()
        assert [sentence.partition(" ended with code -9")[0] for sentence in sentences] == ["kafka", "redis"]
        until(lambda: all(victim.ready() for victim in victims), "all answer again")
        assert kept(addresses) == [True, True, True]
        processes = [psutil.Process(child.pid) for child in stack.children]
    assert not running(processes)
    assert not (tmp_path / "stack.json").exists()

    with LocalStack(tmp_path, triton=False) as again:
        assert kept(again.settings) == [True, True, True]


def test_a_stack_in_the_background_is_ended_from_another_terminal(tmp_path: Path) -> None:
    def millrace(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-P", "-m", "millrace", *arguments],
            env={**os.environ, "MILLRACE_HOME": str(tmp_path), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    try:
        up = millrace("up", "--servers-only", "--detach")
        assert (up.returncode, up.stderr) == (0, "")
        assert up.stdout.rstrip().endswith("It runs in the background; `millrace down` ends it.")
        stack = json.loads((tmp_path / "stack.json").read_text())
        processes = [psutil.Process(stack["parent"])]
        processes += [psutil.Process(pid) for pid, _ in stack["processes"].values()]
        assert len(processes) > 1
    finally:
        down = millrace("down")
    assert (down.returncode, down.stdout) == (0, "Stopped; no process is left.\n")
    assert not running(processes)
    assert millrace("down").stdout == f"No stack runs in {tmp_path}.\n"
