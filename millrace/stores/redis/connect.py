"""The connection to Redis: bounded waits, and every way it can fail turned into an error of Millrace in one place."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from redis import exceptions as redis_errors
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from millrace.kernel.errors import ConfigurationError, FatalError, TransientError
from millrace.kernel.settings import Settings
from millrace.stores.redis.uvloop_connections import is_lost_connection

# Worst case of one call: (CONNECT + ANSWER) * (RETRIES + 1) + back-off = (1 + 3) * 3 + 0.5, under 13 s. Retrying is
# safe for every call of this package that state depends on: each is a read, an absolute write, or a script that
# recognises its repetition. `RedisServingStore.count` adds, and may count twice what only people look at.
CONNECT_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 3.0
RETRIES = 2
_BACKOFF_BASE_S = 0.05
_BACKOFF_CAP_S = 0.25
_HEALTH_CHECK_INTERVAL_S = 30

_ERRORS = (redis_errors.RedisError, redis_errors.RedisClusterException, OSError)
_LOGIN_ERRORS = (
    redis_errors.AuthenticationError,
    redis_errors.AuthenticationWrongNumberOfArgsError,
    redis_errors.AuthorizationError,
    redis_errors.NoPermissionError,
)
# What the server answers while it works again later: by type, and by text where a script's error wraps the answer.
_TRANSIENT_ANSWERS = (
    redis_errors.OutOfMemoryError,
    redis_errors.ReadOnlyError,
    redis_errors.MasterDownError,
    redis_errors.ClusterDownError,
    redis_errors.TryAgainError,
    redis_errors.AskError,
    # A server that forgot the scripts again just after they were loaded: it has restarted.
    redis_errors.NoScriptError,
)
_TRANSIENT_TEXTS = (
    "OOM",
    "LOADING",
    "BUSY",
    "MISCONF",
    "NOREPLICAS",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MOVED",
    "MASTERDOWN",
    "READONLY",
    "max number of clients",
)


# A single server or a cluster: what they share is `execute_command`, pipelines without transactions, and `aclose`.
Client = Redis | RedisCluster


def connect(settings: Settings) -> Client:
    """Return a client for the event loop that is going to use it; nothing is sent yet.

    Raises:
        ConfigurationError: `redis_url` is not a Redis address.
    """
    try:
        if settings.redis_clustered:
            url, others = cluster_address(settings.redis_url)
            nodes = [ClusterNode(host, port) for host, port in others]
            return RedisCluster.from_url(url, startup_nodes=nodes, **_options())
        return Redis.from_url(settings.redis_url, **_options())
    except (ValueError, redis_errors.RedisClusterException) as error:
        raise ConfigurationError(
            f"The setting MILLRACE_REDIS_URL is unusable ({error}); it looks like redis://127.0.0.1:6379/0, that of a "
            "cluster like redis+cluster://127.0.0.1:7000,127.0.0.1:7001."
        ) from None


def _options() -> dict[str, Any]:
    return {
        "protocol": 3,
        "legacy_responses": False,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": ANSWER_TIMEOUT_S,
        "health_check_interval": _HEALTH_CHECK_INTERVAL_S,
        "retry": Retry(ExponentialWithJitterBackoff(_BACKOFF_CAP_S, _BACKOFF_BASE_S), RETRIES),
    }


def cluster_address(url: str) -> tuple[str, list[tuple[str, int]]]:
    """Return the URL of the first node that a cluster's URL names, and the other nodes.

    Raises:
        ValueError: A port is not a number.
    """
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    first, *others = hosts.split(",")
    alone = parts._replace(scheme=parts.scheme.removesuffix("+cluster"), netloc=f"{login}{at}{first}")
    return alone.geturl(), [(host or first, int(port)) for host, _, port in (each.rpartition(":") for each in others)]


class RedisErrors:
    """Context manager that turns whatever redis-py raises into the errors of Millrace.

    Args:
        doing: What was being done, for the sentence: `reading users`.
    """

    __slots__ = ("_doing",)

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        """Start watching."""

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """Translate the error, if it is one of Redis or of the network."""
        if isinstance(error, _ERRORS) or is_lost_connection(error):
            raise translated(error, self._doing) from error


def translated(error: Exception, doing: str) -> Exception:
    """Return the error of Millrace that tells the caller what to do about an error of Redis."""
    if isinstance(error, _LOGIN_ERRORS):
        return ConfigurationError(
            f"Redis refuses the login while {doing} ({error}); check user and password in MILLRACE_REDIS_URL."
        )
    if _is_refusal(error):
        return FatalError(
            f"Redis refuses {doing} ({error}); if its keys were written by something else, run `millrace rebuild`."
        )
    cause = str(error) or type(error).__name__
    return TransientError(f"Redis did not answer while {doing} ({cause}); it may be starting, full or unreachable.")


def _is_refusal(error: Exception) -> bool:
    """Whether the server has understood the request and will answer the same the next time."""
    if isinstance(error, redis_errors.RedisClusterException) and "same key slot" in str(error):
        return True
    if not isinstance(error, redis_errors.ResponseError) or isinstance(error, _TRANSIENT_ANSWERS):
        return False
    return not any(text in str(error) for text in _TRANSIENT_TEXTS)


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Client]:
    """Open a connection for the length of a block.

    Raises:
        TransientError: Redis does not answer.
    """
    redis = connect(settings)
    try:
        await _greet(redis, address_of(settings))
        yield redis
    finally:
        await redis.aclose()


async def _greet(redis: Client, address: str) -> None:
    try:
        with RedisErrors("connecting"):
            if isinstance(redis, RedisCluster):
                # Asks any node for the others: one that is away does not matter while its replica serves.
                await redis.initialize()
            else:
                await redis.execute_command("PING")
    except TransientError as error:
        cause = str(error.__cause__ or error).rstrip(".")
        raise TransientError(
            f"No Redis answers at {address} ({cause}); start a stack with `millrace up`, or set MILLRACE_REDIS_URL."
        ) from error


def address_of(settings: Settings) -> str:
    """Return Redis's address for people to read: without the password."""
    parts = urlsplit(settings.redis_url)
    if parts.password is None:
        return settings.redis_url
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")).geturl()
