"""What the settings make of a Faust app."""

import tempfile
from pathlib import Path
from typing import Any

import pytest

from millrace.kernel.settings import Settings
from millrace.runtime.claims import PartitionGate
from millrace.runtime.resume import Resume
from millrace.streams.faust_app import make_app


@pytest.mark.parametrize(
    ("settings", "session_s"),
    [
        (Settings(), 6.0),
        # What the embedded broker's stack sets for light clients.
        (Settings(kafka_session_timeout_ms=2000), 6.0),
        (Settings(kafka_session_timeout_ms=45_000), 45.0),
        (Settings(kafka_session_timeout_ms=120_000), 120.0),
    ],
)
async def test_a_member_is_given_up_after_the_session_that_is_set(settings: Settings, session_s: float) -> None:
    claimer: Any = None
    app = make_app(settings, "worker", Resume("worker", settings.topics.events, claimer, PartitionGate()))
    assert app.conf.broker_session_timeout == session_s
    # Faust refuses to start otherwise.
    assert app.conf.broker_request_timeout > session_s


async def test_a_role_leaves_no_folder_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    claimer: Any = None
    app = make_app(Settings(), "worker", Resume("worker", Settings().topics.events, claimer, PartitionGate()))
    await app.on_first_start()
    assert list(tmp_path.iterdir()) == []
