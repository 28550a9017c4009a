"""A Faust app made from the settings, and how a role runs one until it is stopped."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import faust
import uvloop

from millrace.kernel.errors import TransientError
from millrace.kernel.settings import Settings
from millrace.runtime.resume import Resume
from millrace.runtime.signals import unless_stopped
from millrace.stores.redis.uvloop_connections import teach_aiokafka
from millrace.streams.faust_credentials import broker_credentials
from millrace.streams.faust_transport import Transport

logger = logging.getLogger(__name__)

# Kafka evicts a member that is silent for the session, and only then hands the partitions of a killed process on.
# Brokers accept no less by default, and a process that computes may be silent for longer than the setting allows a
# client of the embedded broker. The others learn of a rebalance with their next heartbeat and wait for the last
# of them to come: the interval is most of a rebalance's pause (`python -m millrace.load_tests.bench.rebalance`).
_LEAST_SESSION_S = 6.0
_HEARTBEAT_S = 0.5
# Faust wants a request to be given more time than a session.
_LEAST_REQUEST_S = 90.0
# Offsets in Kafka only serve monitoring and the topics without own watermarks.
_COMMIT_INTERVAL_S = 1.0
# Records per partition waiting between fetch and batch; beyond it Faust stops fetching the partition.
_STREAM_BUFFER = 1024
# Longer than Kafka needs to hand the partitions of a silent broker on; what was not confirmed by then is sent again.
# Faust waits twenty minutes by default, for a machine that died without a goodbye as well.
_PRODUCE_TIMEOUT_S = 15.0
_SWITCH_INTERVAL_S = 0.001
# Both together stay below the ten seconds after which a supervisor kills.
_FINISH_PATIENCE_S = 4.0
_STOP_PATIENCE_S = 5.0


def run_in_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a role to its end; Faust's threads get loops of the same kind.

    uvloop does in C what the default loop does in Python for each of the many small callbacks of Faust and aiokafka.
    """
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    teach_aiokafka()
    # A thread that computes gives the processor to one that waits for it within this time: fetches go on meanwhile.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    asyncio.run(main)


class App(faust.App):  # type: ignore[misc]
    """A Faust app that resumes its main topic from the state store.

    Args:
        resume: Claims partitions and knows where to go on.
        fetch_wait_ms: Longest wait of one fetch.
        options: Passed to `faust.App`.
    """

    def __init__(self, *args: Any, resume: Resume, fetch_wait_ms: int, **options: Any) -> None:
        self.resume = resume
        self.fetch_wait_ms = fetch_wait_ms
        super().__init__(*args, **options)

    def _create_directories(self) -> None:
        """Make no folders: Faust keeps tables in them, of which there are none."""

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Transport:
        return Transport(self.conf.broker_producer, self)


def make_app(settings: Settings, role: str, resume: Resume, fetch_wait_ms: int | None = None) -> App:
    """Build the app of a role; must be called in the running event loop.

    Args:
        settings: Addresses and names.
        role: Names the consumer group.
        resume: Where partitions go on.
        fetch_wait_ms: Longest wait of one fetch, if not the setting.
    """
    session_s = max(settings.kafka_session_timeout_ms / 1000, _LEAST_SESSION_S)
    app = App(
        f"{settings.group_prefix}{role}",
        resume=resume,
        fetch_wait_ms=fetch_wait_ms or settings.kafka_fetch_wait_ms,
        broker=[f"kafka://{address.strip()}" for address in settings.kafka_bootstrap.split(",")],
        broker_credentials=broker_credentials(settings),
        store="memory://",
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=4,
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        stream_buffer_maxsize=_STREAM_BUFFER,
        stream_publish_on_commit=False,
        broker_commit_interval=_COMMIT_INTERVAL_S,
        consumer_group_instance_id=settings.kafka_group_member or None,
        broker_session_timeout=session_s,
        broker_request_timeout=max(2 * session_s, _LEAST_REQUEST_S),
        broker_heartbeat_interval=_HEARTBEAT_S,
        producer_acks=-1,
        producer_linger=0.0,
        producer_request_timeout=_PRODUCE_TIMEOUT_S,
        worker_redirect_stdouts=False,
    )
    return app


async def check_broker(bootstrap: str) -> None:
    """Return if any broker accepts connections.

    Raises:
        TransientError: None does; try again.
    """
    if not await _any_broker(bootstrap):
        raise TransientError(f"No Kafka broker answers at {bootstrap}.")


async def _any_broker(bootstrap: str) -> bool:
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), timeout=2.0)
        except (OSError, TimeoutError):
            continue
        writer.close()
        return True
    return False


async def run_app(
    app: App, stop: asyncio.Event, finish: Callable[[], Awaitable[None]], *work: "asyncio.Task[None]"
) -> None:
    """Run until the stop event is set, then finish the work in hand and leave the group.

    Args:
        app: The app, not yet started.
        stop: Set to end the role.
        finish: Completes the work in hand; called while Kafka is still connected.
        work: The role's loops; the app ends when one of them fails.

    Raises:
        MillraceError: The role cannot go on.
        TransientError: Faust gave up; a restart may succeed.
    """
    waits = {
        asyncio.ensure_future(stop.wait()),
        asyncio.ensure_future(app._crashed.wait()),
        app.resume.failure,
    }
    try:
        # Kafka may take its time, or not answer at all.
        await unless_stopped(stop, app.start())
        await asyncio.wait({*waits, *work}, return_when=asyncio.FIRST_COMPLETED)
        app.resume.raise_failure()
        await _finish(finish)
    finally:
        for future in waits:
            future.cancel()
        await _stop(app)
    if app.crash_reason is not None and not stop.is_set():
        raise TransientError(f"The Kafka client gave up ({app.crash_reason!r}); start the role again.")


async def _finish(finish: Callable[[], Awaitable[None]]) -> None:
    """Complete the work in hand; what waits for a service that is away is done after the next start instead."""
    try:
        async with asyncio.timeout(_FINISH_PATIENCE_S):
            await finish()
    except TimeoutError:
        logger.warning("The work in hand could not be finished within %.0f s; it is done again.", _FINISH_PATIENCE_S)


async def _stop(app: App) -> None:
    try:
        async with asyncio.timeout(_STOP_PATIENCE_S):
            await app.stop()
    except TimeoutError:
        logger.warning("Faust did not stop within %.0f s; leaving.", _STOP_PATIENCE_S)
