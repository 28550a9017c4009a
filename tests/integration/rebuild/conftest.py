"""What is rebuilt: an empty Redis of the test's own."""

from collections.abc import Callable

import pytest

from millrace.kernel.settings import Settings


@pytest.fixture
def config(own_settings: Callable[..., Settings], redis_server: str) -> Settings:
    return own_settings(redis_url=redis_server)
