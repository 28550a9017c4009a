"""Settings without a model server: recovery does not depend on it."""

from pathlib import Path

import pytest
from recovery_harness import own_settings

from millrace.kernel.settings import Settings


@pytest.fixture
def bare_settings(kafka_broker: str, redis_server: str, tmp_path: Path) -> Settings:
    """Return settings of a broker and a Redis, with names of this test's own and small batches."""
    quick = {"kafka_fetch_wait_ms": 10, "max_batch_events": 16, "statistics_flush_ms": 20}
    return own_settings(tmp_path, kafka_broker, redis_server, **quick)
