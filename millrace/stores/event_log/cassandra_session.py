"""The connection to Cassandra: bounded requests in flight, and every failure turned into an error of Millrace."""

import logging
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cassandra import (
    AuthenticationFailed,
    ConsistencyLevel,
    DriverException,
    RequestValidationException,
    Unauthorized,
    UnresolvableContactPoints,
    UnsupportedOperation,
)
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.concurrent import execute_concurrent
from cassandra.connection import ConnectionBusy, ConnectionException
from cassandra.policies import DCAwareRoundRobinPolicy, ExponentialReconnectionPolicy, TokenAwarePolicy
from cassandra.protocol import ErrorMessage
from cassandra.protocol import RequestValidationException as InvalidStatement
from cassandra.query import tuple_factory

from millrace.kernel.errors import ConfigurationError, FatalError, MillraceError, TransientError
from millrace.kernel.settings import Settings
from millrace.stores.event_log.cassandra_address import CassandraAddress

_PROTOCOL_VERSION = 5
_CONNECT_TIMEOUT_S = 5.0
# The server's own limits (2 s for a write, 5 s for a read) come first when it is alive.
_REQUEST_TIMEOUT_S = 10.0
# A node that is back is used again within this time.
_RECONNECT_FIRST_S = 0.25
_RECONNECT_LONGEST_S = 5.0

# Requests in flight. More would only queue in the server, which refuses when it has too many.
MOST_IN_FLIGHT = 32
# How long one call retries by itself. After that the caller decides, who can pause reading.
_RETRY_FOR_S = 5.0
_RETRY_FIRST_S = 0.05
_RETRY_LONGEST_S = 1.0

# Understood and declined: the answer will be the same the next time.
_REFUSALS = (RequestValidationException, InvalidStatement, UnsupportedOperation)
# Slow, away, overloaded or cut off: the next attempt may succeed.
_TRANSIENT = (DriverException, ErrorMessage, NoHostAvailable, ConnectionException, ConnectionBusy, OSError)


@contextmanager
def connect(settings: Settings, address: CassandraAddress) -> Iterator[Any]:
    """Open a `Cluster` for the length of a block.

    Raises:
        MillraceError: As `translated` says.
    """
    cluster = open_cluster(settings, address)
    try:
        with translating(f"talking to {address}"):
            yield cluster
    finally:
        cluster.shutdown()


def open_cluster(settings: Settings, address: CassandraAddress) -> Any:
    """Return a `Cluster` that has not connected yet.

    Raises:
        ConfigurationError: The CA file cannot be read.
        TransientError: No host has an address.
    """
    # Failures reach the callers as exceptions; the driver would log each attempt to reconnect as well.
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)
    login = None
    if settings.cassandra_username:
        login = PlainTextAuthProvider(settings.cassandra_username, settings.cassandra_password)
    encryption = None if settings.cassandra_ssl_ca_file is None else _encryption(settings.cassandra_ssl_ca_file)
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(local_dc=address.data_centre)),
        request_timeout=_REQUEST_TIMEOUT_S,
        row_factory=tuple_factory,
    )
    # Hosts are looked up here already.
    with translating(f"connecting to {address}"):
        return Cluster(
            contact_points=list(address.hosts),
            protocol_version=_PROTOCOL_VERSION,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            auth_provider=login,
            ssl_context=encryption,
            connect_timeout=_CONNECT_TIMEOUT_S,
            control_connection_timeout=_CONNECT_TIMEOUT_S,
            reconnection_policy=ExponentialReconnectionPolicy(_RECONNECT_FIRST_S, _RECONNECT_LONGEST_S),
        )


def _encryption(ca_file: Path) -> ssl.SSLContext:
    """Return the TLS context that verifies Cassandra's certificates.

    Raises:
        ConfigurationError: The file cannot be read, or holds no certificates.
    """
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:
        raise ConfigurationError(
            f"The certificates in {ca_file} cannot be read ({_first_line(error)}); "
            "check MILLRACE_CASSANDRA_SSL_CA_FILE."
        ) from None


def local_nodes(cluster: Any, address: CassandraAddress) -> int:
    """Return how many nodes the data centre has, those that are down included."""
    return sum(host.datacenter == address.data_centre for host in cluster.metadata.all_hosts())


def consistency_of(settings: Settings, nodes: int) -> int:
    """Return the consistency of reads and writes: as configured, else a quorum where there is more than one node."""
    name = settings.cassandra_consistency or ("LOCAL_QUORUM" if nodes > 1 else "LOCAL_ONE")
    level: int = ConsistencyLevel.name_to_value[name]
    return level


class Requests:
    """Runs statements side by side, fewer of them while Cassandra is overloaded.

    Args:
        session: A connected session.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self.in_flight = MOST_IN_FLIGHT
        """Requests in flight allowed at the moment."""

    def run(self, statements: Sequence[Any], doing: str) -> None:
        """Run statements that may be repeated, and return once all are confirmed.

        What fails because the server is slow, away or overloaded is repeated with half as many in flight; whoever
        calls waits as long, and that is what slows the reading of Kafka down.

        Raises:
            TransientError: Some are not confirmed after a few seconds of trying; any may have been written.
            FatalError: Cassandra refuses one.
        """
        left, wait_s = list(statements), _RETRY_FIRST_S
        deadline_s = time.monotonic() + _RETRY_FOR_S
        while True:
            results = execute_concurrent(
                self._session,
                [(statement, None) for statement in left],
                concurrency=self.in_flight,
                raise_on_first_error=False,
            )
            failed = [(one, result.result_or_exc) for one, result in zip(left, results, strict=True) if not result[0]]
            if not failed:
                self.in_flight = min(MOST_IN_FLIGHT, self.in_flight + 1)
                return
            errors = [translated(error, doing) for _, error in failed]
            refusal = next((error for error in errors if not isinstance(error, TransientError)), None)
            if refusal is not None or time.monotonic() > deadline_s:
                raise refusal or errors[0]
            self.in_flight = max(1, self.in_flight // 2)
            time.sleep(wait_s)
            left, wait_s = [one for one, _ in failed], min(2 * wait_s, _RETRY_LONGEST_S)

    def ask(self, statement: Any, doing: str) -> Any:
        """Run one query and return its rows, a page at a time.

        Raises:
            TransientError: Cassandra does not answer.
            FatalError: Cassandra refuses it.
        """
        with translating(doing):
            return self._session.execute(statement)


@contextmanager
def translating(doing: str) -> Iterator[None]:
    """Turn the driver's errors in the block into Millrace's."""
    try:
        yield
    except MillraceError:
        raise
    except Exception as error:
        raise translated(error, doing) from error


def translated(error: Exception, doing: str) -> Exception:
    """Return the error of Millrace that tells the caller what to do about an error of the driver.

    Overload, time-outs and absent nodes may be over by the next attempt; what Cassandra understands and refuses will
    be refused again.
    """
    if isinstance(error, MillraceError):
        return error
    causes = _causes(error)
    if not causes:
        return ConfigurationError(
            "Cassandra answers, but none of its nodes is in the data centre of MILLRACE_EVENT_LOG; correct its ?dc=."
        )
    if any(isinstance(cause, AuthenticationFailed | Unauthorized) for cause in causes):
        return ConfigurationError(
            f"Cassandra refuses the login while {doing} ({_first_line(causes[0])}); check MILLRACE_CASSANDRA_USERNAME, "
            "MILLRACE_CASSANDRA_PASSWORD and what that role may do."
        )
    if isinstance(error, UnresolvableContactPoints):
        # A role retries this too: a name may not be registered yet, and the name service may be away.
        return TransientError(
            f"No host in MILLRACE_EVENT_LOG has an address while {doing}; check their names and the name service."
        )
    if isinstance(error, _REFUSALS):
        return FatalError(f"Cassandra refuses {doing} ({_first_line(error)}); its log says why.")
    if isinstance(error, _TRANSIENT):
        what = _first_line(causes[0])
        return TransientError(f"Cassandra did not answer while {doing} ({what}); it may be starting, full or away.")
    return error


def _causes(error: Exception) -> list[Exception]:
    """Return what each node said; nothing if nodes were found, but none that may be asked."""
    if not isinstance(error, NoHostAvailable):
        return [error]
    if isinstance(error.errors, dict):
        return list(error.errors.values()) or [error]
    return []


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
