"""What worker and keeper share: a process that reads `events` through Faust and says how it is doing."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.runtime.claims import Claimer, PartitionGate
from millrace.runtime.health import HealthServer, Progress
from millrace.runtime.heartbeat import beat
from millrace.runtime.intake import Intake, source_record
from millrace.runtime.rate import Rate
from millrace.runtime.records import SourceRecord
from millrace.runtime.resume import Resume
from millrace.runtime.retry import Retry
from millrace.runtime.signals import stop_on_signals, unless_stopped
from millrace.stores.redis.connect import Client
from millrace.stores.redis.layout import TopicLayout
from millrace.stores.redis.redis_serving import RedisServingStore
from millrace.streams.faust_app import check_broker, make_app, run_app, run_in_loop

logger = logging.getLogger(__name__)

_Work = Coroutine[Any, Any, None]


class FaustRole(ABC):
    """Starts, reports and ends a role in the one order in which nothing is lost.

    Health page and heartbeat come first and go last. Kafka is joined only once the role is prepared, and left only
    after the work in hand is finished.

    Args:
        settings: Addresses and names.
        name: Role as in `millrace status`; also names the consumer group.
        redis: Client of the running event loop; closed at the end.
        claimer: Takes partitions over.
        gate: Opened for each claimed partition.
        whole_topic: Claim all partitions together; for a role that runs once.
        fetch_wait_ms: Longest wait of one fetch, if not the setting.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        redis: Client,
        claimer: Claimer,
        gate: PartitionGate,
        *,
        whole_topic: bool = False,
        fetch_wait_ms: int | None = None,
    ) -> None:
        self.settings = settings
        self.name = name
        self.redis = redis
        self.gate = gate
        keys, topic = Keys.of(settings), settings.topics.events
        self.serving = RedisServingStore(redis, keys)
        layout = TopicLayout(redis, keys, topic)
        self.resume = Resume(name, topic, claimer, gate, whole_topic=whole_topic, topic_check=layout)
        self.app = make_app(settings, name, self.resume, fetch_wait_ms)
        self.progress = Progress(self.resume.lag)
        self._health = HealthServer(
            lambda: (self.progress.look()[0], self.full_status()), settings.health_host, settings.health_port
        )
        self._rate = Rate()
        self._handled = 0
        self._port = 0
        self.starting = Retry(name)
        self._preparing = True

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises:
            MillraceError: The role cannot go on; the text says why and what to do.
        """
        stop = stop_on_signals()
        self._port = await self._health.start()
        tasks = [asyncio.create_task(beat(self.serving, self.name, self.full_status))]
        try:
            await unless_stopped(stop, self._prepare())
            if not stop.is_set():
                loops = [asyncio.create_task(each) for each in self.loops()]
                tasks += [asyncio.create_task(each) for each in (*self.background(), self.resume.keep_claimed())]
                tasks += loops
                logger.info("The %s is ready; health at http://%s:%d/health.", self.name, self.settings.health_host,
                            self._port)  # fmt: skip
                await run_app(self.app, stop, lambda: self.finish(loops), *loops)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.close()
            await self._health.stop()
            await self.redis.aclose()

    async def _prepare(self) -> None:
        await self.prepare()
        await self.starting.until_done(lambda: check_broker(self.settings.kafka_bootstrap))
        self._preparing = False

    @abstractmethod
    async def prepare(self) -> None:
        """Do what has to be done before any partition is asked for."""

    @abstractmethod
    def loops(self) -> Sequence[_Work]:
        """Return the loops that handle records; the role ends when one of them fails."""

    def background(self) -> Sequence[_Work]:
        """Return what runs beside the loops until the end."""
        return ()

    @abstractmethod
    async def finish(self, loops: Sequence["asyncio.Task[None]"]) -> None:
        """Complete the work in hand; Kafka is still connected."""

    @abstractmethod
    async def close(self) -> None:
        """Release what the role has opened."""

    @abstractmethod
    def status(self) -> Mapping[str, object]:
        """Return what the health page and the heartbeat show beside what all roles show."""

    def full_status(self) -> Mapping[str, object]:
        """Return what the health page and the heartbeat show."""
        status = self.status()
        return {
            "port": self._port,
            "events_per_s": self._rate.per_s(self._handled),
            "events_handled": self._handled,
            "lag": self.resume.lag(),
            "partitions": self.gate.partitions,
            **status,
            "waiting_for": self._waiting_for() or status.get("waiting_for"),
        }

    def subscribe(self, topic: str, intake: Intake) -> None:
        """Attach a thin agent: all it does is hand records over."""

        async def take(stream: Any) -> None:
            async for event in stream.noack().events():
                await intake.put(event)

        agent: Callable[[Callable[[Any], Awaitable[None]]], Any] = self.app.agent(
            self.app.topic(topic, key_type=bytes, value_type=bytes), name=topic
        )
        agent(take)

    def accepted(self, events: Sequence[Any]) -> list[SourceRecord]:
        """Return the records of claimed partitions, each once and in order."""
        return [
            record
            for event in events
            if self.gate.accept((record := source_record(event)).partition, record.offset, event.message.generation_id)
        ]

    def handled(self, records: int) -> None:
        """Count records that have been handled."""
        self.progress.advanced()
        self._handled += records

    def _waiting_for(self) -> str | None:
        return self.starting.waiting_for or ("starting" if self._preparing else self.resume.waiting_for)


def run_role(make: Callable[[], FaustRole]) -> None:
    """Make a role in an event loop of its own and run it until SIGTERM or SIGINT."""

    async def main() -> None:
        await make().run()

    run_in_loop(main())
