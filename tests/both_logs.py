"""Tests that run once on SQLite and once on a real Cassandra."""

import uuid
from pathlib import Path

import pytest


def sqlite(request: pytest.FixtureRequest, folder: Path) -> dict[str, str]:
    """Return settings of an event log in a file."""
    return {"event_log": f"sqlite:///{folder / 'events.sqlite'}"}


def cassandra(request: pytest.FixtureRequest, folder: Path) -> dict[str, str]:
    """Return settings of an event log in Cassandra, under a name of its own."""
    return {"event_log": request.getfixturevalue("cassandra"), "topic_prefix": f"t{uuid.uuid4().hex[:10]}."}


# For a fixture `config`, which `chosen_log` helps to make.
ON_BOTH = pytest.mark.parametrize("config", [sqlite, cassandra], indirect=True)


def chosen_log(request: pytest.FixtureRequest, folder: Path) -> dict[str, str]:
    """Return settings of the event log that the test is to run on; SQLite where it does not say."""
    settings: dict[str, str] = getattr(request, "param", sqlite)(request, folder)
    return settings
