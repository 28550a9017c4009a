"""Which of Cassandra's answers are tried again, and how far a writer slows down for them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cassandra import (
    AuthenticationFailed,
    InvalidRequest,
    OperationTimedOut,
    Unauthorized,
    Unavailable,
    WriteFailure,
    WriteTimeout,
)
from cassandra.cluster import NoHostAvailable
from cassandra.protocol import OverloadedErrorMessage, SyntaxException

from millrace.kernel.errors import ConfigurationError, FatalError, TransientError
from millrace.kernel.settings import Settings
from millrace.stores.event_log import cassandra_session, create_schema, open_event_log
from millrace.stores.event_log.cassandra_session import MOST_IN_FLIGHT, Requests, translated

OVERLOADED = OverloadedErrorMessage(0x1001, "too busy", None)


@pytest.mark.parametrize(
    "error",
    [
        OVERLOADED,
        OperationTimedOut(),
        Unavailable("two of three replicas"),
        WriteTimeout("two of three replicas", write_type=0),
        WriteFailure("a disk", write_type=0),
        NoHostAvailable("nobody", {"db:9042": ConnectionRefusedError("refused")}),
        NoHostAvailable("nobody", {}),
        ConnectionResetError("reset"),
    ],
)
def test_what_may_be_over_soon_is_transient(error: Exception) -> None:
    assert type(translated(error, "writing events")) is TransientError
    assert "while writing events" in str(translated(error, "writing events"))


@pytest.mark.parametrize("error", [InvalidRequest("no such table"), SyntaxException(0x2000, "line 1", None)])
def test_what_is_refused_is_fatal(error: Exception) -> None:
    assert type(translated(error, "writing events")) is FatalError


@pytest.mark.parametrize(
    "error",
    [
        Unauthorized("no MODIFY permission"),
        AuthenticationFailed("wrong password"),
        NoHostAvailable("nobody", {"db:9042": AuthenticationFailed("wrong password")}),
    ],
)
def test_a_refused_login_names_the_settings(error: Exception) -> None:
    assert type(translated(error, "connecting")) is ConfigurationError
    assert "MILLRACE_CASSANDRA_PASSWORD" in str(translated(error, "connecting"))


def settings_of(**changes: Any) -> Settings:
    # A name under .invalid has no address anywhere.
    return Settings(event_log="cassandra://db.invalid:9042/millrace", **changes)


@pytest.mark.parametrize("use", [open_event_log, create_schema])
def test_a_host_without_an_address_is_waited_for(use: Callable[[Settings], object]) -> None:
    with pytest.raises(TransientError, match=r"^No host in MILLRACE_EVENT_LOG .* connecting to db.invalid:9042; check"):
        use(settings_of())


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_unusable_ca_file_names_its_setting(tmp_path: Path, content: str | None) -> None:
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)
    with pytest.raises(ConfigurationError, match=rf"^The certificates in {ca_file} .*MILLRACE_CASSANDRA_SSL_CA_FILE"):
        open_event_log(settings_of(cassandra_ssl_ca_file=ca_file))


def test_a_defect_stays_a_defect() -> None:
    assert isinstance(translated(KeyError("x"), "writing"), KeyError)


class ScriptedSession:
    """Answers each statement as told: with nothing, or with an error."""

    def __init__(self, answer: Callable[[Any], Exception | None]) -> None:
        self.asked: list[Any] = []
        self._answer = answer

    def execute_async(self, statement: Any, *_: object, **__: object) -> "ScriptedFuture":
        self.asked.append(statement)
        return ScriptedFuture(self._answer(statement))


class ScriptedFuture:
    """As much of the driver's future as a result set looks at."""

    has_more_pages = False
    _col_names = _col_types = None

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def add_callbacks(
        self,
        callback: Callable[..., None],
        errback: Callable[..., None],
        callback_args: tuple[Any, ...] = (),
        callback_kwargs: dict[str, Any] | None = None,
        errback_args: tuple[Any, ...] = (),
        errback_kwargs: dict[str, Any] | None = None,
    ) -> None:
        if self._error is None:
            callback([], *callback_args, **(callback_kwargs or {}))
        else:
            errback(self._error, *errback_args, **(errback_kwargs or {}))

    def clear_callbacks(self) -> None:
        """Nothing is kept."""


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cassandra_session, "_RETRY_FIRST_S", 0.0)


def test_only_what_failed_is_repeated_with_fewer_in_flight() -> None:
    failures = {"b": 2}

    def answer(statement: str) -> Exception | None:
        failures[statement] = failures.get(statement, 0) - 1
        return OVERLOADED if failures[statement] >= 0 else None

    session = ScriptedSession(answer)
    requests = Requests(session)
    requests.run(["a", "b", "c"], "writing")
    assert session.asked == ["a", "b", "c", "b", "b"]
    assert requests.in_flight == MOST_IN_FLIGHT // 4 + 1
    requests.run(["a"], "writing")
    assert requests.in_flight == MOST_IN_FLIGHT // 4 + 2


def test_patience_ends_with_a_transient_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cassandra_session, "_RETRY_FOR_S", 0.01)
    session = ScriptedSession(lambda _: OVERLOADED)
    with pytest.raises(TransientError, match="while writing"):
        Requests(session).run(["a"], "writing")
    assert len(session.asked) > 1


def test_a_refusal_is_not_repeated() -> None:
    session = ScriptedSession(lambda _: InvalidRequest("no such table"))
    with pytest.raises(FatalError, match="no such table"):
        Requests(session).run(["a"], "writing")
    assert session.asked == ["a"]
