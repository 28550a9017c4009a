import pytest
from redis import exceptions as redis_errors

from millrace.kernel.errors import ConfigurationError, FatalError, MillraceError, TransientError
from millrace.kernel.settings import Settings
from millrace.stores.redis.connect import RedisErrors, address_of, connect


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (redis_errors.ConnectionError("Connection refused"), TransientError),
        (redis_errors.TimeoutError(), TransientError),
        (redis_errors.BusyLoadingError("LOADING"), TransientError),
        (redis_errors.OutOfMemoryError("command not allowed when used memory > 'maxmemory'"), TransientError),
        (redis_errors.ReadOnlyError("You can't write against a read only replica."), TransientError),
        (redis_errors.MasterDownError("Link with MASTER is down"), TransientError),
        (redis_errors.ResponseError("Error running script: -OOM command not allowed"), TransientError),
        (redis_errors.ResponseError("MISCONF Redis is configured to save RDB snapshots"), TransientError),
        (redis_errors.WatchError("Watched variable changed."), TransientError),
        (redis_errors.NoScriptError("No matching script."), TransientError),
        (TimeoutError(), TransientError),
        (ConnectionResetError("reset by peer"), TransientError),
        (RuntimeError("unable to perform operation on <TCPTransport closed>; the handler is closed"), TransientError),
        (redis_errors.AuthenticationError("WRONGPASS"), ConfigurationError),
        (redis_errors.NoPermissionError("NOPERM"), ConfigurationError),
        (redis_errors.ResponseError("WRONGTYPE Operation against a key"), FatalError),
    ],
)
def test_each_failure_says_what_the_caller_does_about_it(raised: Exception, expected: type[MillraceError]) -> None:
    sentence = "while reading users|refuses reading users"
    with pytest.raises(expected, match=sentence) as caught, RedisErrors("reading users"):
        raise raised
    assert type(caught.value) is expected
    assert caught.value.__cause__ is raised


def test_other_errors_pass_untouched() -> None:
    with pytest.raises(KeyError), RedisErrors("reading users"):
        raise KeyError("bug")


def test_an_address_of_another_kind_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="MILLRACE_REDIS_URL"):
        connect(Settings(redis_url="http://127.0.0.1:1"))


def test_the_password_is_never_shown() -> None:
    shown = address_of(Settings(redis_url="redis://app:secret@db.example:6379/2"))
    assert shown == "redis://app:***@db.example:6379/2"
    assert address_of(Settings(redis_url="redis://127.0.0.1:1/0")) == "redis://127.0.0.1:1/0"
