"""A role whose event log is away when it starts waits for it."""

import threading
from pathlib import Path

import pytest

from millrace.kernel.backoff import Backoff
from millrace.kernel.errors import ConfigurationError, TransientError
from millrace.kernel.settings import Settings
from millrace.stores.event_log import await_event_log, waiting
from millrace.stores.event_log.sqlite import SqliteEventLog


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "next_s", lambda _: 0.0)


def test_a_log_that_is_away_is_opened_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers = [TransientError("It is away.")] * 3

    def open_when_back(_: Settings) -> SqliteEventLog:
        if answers:
            raise answers.pop()
        return SqliteEventLog(tmp_path / "events.sqlite")

    monkeypatch.setattr(waiting, "open_event_log", open_when_back)
    log = await_event_log(Settings(), threading.Event())
    assert log is not None
    log.close()
    assert caplog.text.count("It is away. Trying again.") == 1


def test_stopping_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = threading.Event()

    def away(_: Settings) -> None:
        stopped.set()
        raise TransientError("It is away.")

    monkeypatch.setattr(waiting, "open_event_log", away)
    assert await_event_log(Settings(), stopped) is None


def test_what_waiting_does_not_mend_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError, match="is not the address of an event log"):
        await_event_log(Settings(event_log="nonsense"), threading.Event())
