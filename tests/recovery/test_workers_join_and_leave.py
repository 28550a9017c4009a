"""Workers join, leave, freeze and die under load on a real Kafka: partitions move, nothing is lost or applied twice."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from recovery_checks import ITEMS, check_lists, check_state
from recovery_harness import Role, Stores, own_settings, publish_events, wait_until

from millrace.kernel.settings import Settings
from millrace.kernel.topic_admin import ensure_topics

# Minutes on a machine that is busy with something else, where Kafka alone takes two to start.
pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(1500)]

# Workers start in seconds; on a machine that is busy with something else it may take each a minute.
DEADLINE_S = 300.0

PARTITIONS = 6
EVENTS_PER_TICK = 20
TICK_S = 1.0


class Load:
    """Publishes for the length of a block, some 20 events a second."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self.published = publish_events(settings, EVENTS_PER_TICK)

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
        assert not self._failures

    def _run(self) -> None:
        try:
            start = EVENTS_PER_TICK
            while not self._stop.wait(TICK_S):
                self.published = publish_events(self._settings, EVENTS_PER_TICK, start, self.published)
                start += EVENTS_PER_TICK
        except BaseException as error:
            self._failures.append(error)


@pytest.fixture
def settings(local_kafka: str, redis_server: str, tmp_path: Path) -> Settings:
    sizes = {"kafka_fetch_wait_ms": 10, "topic_partitions": PARTITIONS, "max_batch_events": 64}
    made = own_settings(tmp_path, local_kafka, redis_server, **sizes)
    ensure_topics(made)
    return made


def owned(stores: Stores, *workers: Role) -> bool:
    """Whether these workers hold all partitions, each some, and each partition once."""
    pids = [worker.process.pid for worker in workers]
    held = [beat["partitions"] for beat in stores.heartbeats() if beat["role"] == "worker" and beat["pid"] in pids]
    return len(held) == len(pids) and all(held) and sorted(sum(held, [])) == list(range(PARTITIONS))


def test_every_event_takes_effect_once_and_has_a_list(settings: Settings, tmp_path: Path) -> None:
    log, stores = tmp_path / "workers.log", Stores(settings)
    stores.seed_items(ITEMS)
    load = Load(settings)

    def settled(*workers: Role) -> None:
        wait_until(lambda: owned(stores, *workers), f"{len(workers)} workers hold all partitions", log, DEADLINE_S)
        # Something has to be in the hands of the new owners before the next change.
        ends = dict(load.published.ends)
        wait_until(lambda: stores.done("worker", ends), "they have caught up", log, DEADLINE_S)

    with load.running(), Role("worker", settings, log) as first:
        settled(first)
        with Role("worker", settings, log) as second, Role("worker", settings, log) as third:
            settled(first, second, third)
            assert second.stop() == 0
            settled(first, third)
            # Frozen for longer than the session: Kafka gives its partitions away, and it wakes up as a former owner
            # with a batch in its hands.
            third.process.send_signal(signal.SIGSTOP)
            settled(first)
            third.process.send_signal(signal.SIGCONT)
            settled(first, third)
            third.process.kill()
            settled(first)
        with Role("worker", settings, log, MILLRACE_KAFKA_GROUP_MEMBER="kept") as fourth:
            settled(first, fourth)
            fourth.process.kill()
            fourth.process.wait()
            # Started again under its name it gets its partitions back, without a word to the others.
            with Role("worker", settings, log, MILLRACE_KAFKA_GROUP_MEMBER="kept") as again:
                settled(first, again)
        settled(first)
    published = load.published
    with Role("worker", settings, log):
        wait_until(lambda: stores.done("worker", published.ends), "everything is done", log, DEADLINE_S)
    check_state(stores, published)
    check_lists(settings, published)
