"""Tests of those who subscribe need no server but Kafka."""

from collections.abc import Callable

import pytest

from millrace.kernel.settings import Settings


@pytest.fixture
def settings(kafka_settings: Settings, exported: Callable[[Settings], Settings]) -> Settings:
    """Return settings of the embedded Kafka, also in the environment."""
    return exported(kafka_settings)
