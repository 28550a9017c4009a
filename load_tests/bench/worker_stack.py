"""A stack of Kafka and Redis, for measurements of workers alone."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from millrace.apps.stacks.child import Child
from millrace.apps.stacks.home import StackHome
from millrace.apps.stacks.kafka_server import KafkaCluster
from millrace.apps.stacks.redis_server import RedisServer
from millrace.apps.stacks.stack import Stack
from millrace.streams.scoring.in_process import IN_PROCESS

WORKER = (sys.executable, "-P", "-m", "millrace", "worker")


class WorkerStack(Stack):
    """Real Kafka and Redis in an emptied folder; lists come from the online counts, since there is no model.

    Args:
        home: Folder for logs and data; emptied.
        partitions: Of the topics.
        overrides: More settings fields to give every role.
    """

    ready_deadline_s = 300.0

    def __init__(self, home: Path, partitions: int, overrides: Mapping[str, Any] | None = None) -> None:
        folder = StackHome(home)
        logs, data = folder.log_dir, folder.path / "data"
        self.kafka = KafkaCluster(logs, data / "kafka")
        self.redis = RedisServer(logs, data / "redis")
        settings = {
            "stack": "external",
            "triton_url": IN_PROCESS,
            "topic_partitions": partitions,
            # What is counted is lists: each event gets its own, however many wait.
            "backlog_events": 0,
            # The log is not used; its default would be made in the working directory.
            "event_log": f"sqlite:///{folder.path / 'events.sqlite'}",
            **(overrides or {}),
        }
        super().__init__(folder, [*self.kafka.brokers, self.redis], settings)

    def prepare(self) -> None:
        """Empty the folder."""
        self._home.clear(("data", "models", "triton"), delete=True)

    def provision(self) -> None:
        """Create the topics."""
        from millrace.kernel.topic_admin import ensure_topics

        ensure_topics(self.settings)

    def worker(self, name: str, argv: Sequence[str] = WORKER, env: Mapping[str, str] | None = None) -> Child:
        """Start a worker under a name of its own, which it keeps in the consumer group."""
        return self.spawn(name, argv, {"MILLRACE_KAFKA_GROUP_MEMBER": name, **(env or {})})
