"""Settings without a model server: recovery does not depend on it."""

import uuid
from pathlib import Path

import pytest

from millrace.config import Settings


@pytest.fixture
def bare_settings(kafka_broker: str, redis_server: str, tmp_path: Path) -> Settings:
    """Return settings of a broker and a Redis, with names of this test's own and small batches."""
    mark = uuid.uuid4().hex[:10]
    return Settings(
        home=tmp_path,
        kafka_bootstrap=kafka_broker,
        kafka_fetch_wait_ms=10,
        redis_url=redis_server,
        triton_url="in-process",
        topic_prefix=f"t{mark}.",
        group_prefix=f"t{mark}-",
        redis_prefix=f"t{mark}:",
        max_batch_events=16,
        statistics_flush_ms=20,
    )
