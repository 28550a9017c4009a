"""Asks the servers around Millrace how they are; a server that is away is an answer, not an error."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from millrace.apps.status import Server
from millrace.kernel.errors import MillraceError
from millrace.kernel.settings import Settings

if TYPE_CHECKING:
    from millrace.kernel.topic_reader import TopicReader
    from millrace.model.triton_admin import ModelServer
    from millrace.stores.redis.connect import Client

_MIB = 1024 * 1024


class Probes:
    """Keeps the connections to Kafka and Triton between two looks; a context manager, for one thread.

    Args:
        settings: Where the servers are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reader: TopicReader | None = None
        self._admin: ModelServer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        if self._admin is not None:
            self._admin.close()

    def kafka(self) -> tuple[Server, dict[int, int] | None]:
        """Return Kafka's state and the end offset of each partition of the events topic, or None."""
        address = self._settings.kafka_bootstrap
        try:
            ends = self._end_offsets()
        except (MillraceError, _kafka_error()) as error:
            self._close()
            return Server(name="kafka", address=address, ok=False, detail=_first_sentence(error)), None
        detail = f"{self._settings.topics.events}: {len(ends)} partitions, {sum(ends.values()):,} records"
        return Server(name="kafka", address=address, ok=True, detail=detail), ends

    def triton(self) -> Server:
        """Return Triton's state with the models that are ready."""
        try:
            loaded = self._model_server().loaded()
            detail = f"serving {', '.join(loaded)}" if loaded else "no model yet"
            return Server(name="triton", address=self._settings.triton_url, ok=True, detail=detail)
        except MillraceError as error:
            return Server(name="triton", address=self._settings.triton_url, ok=False, detail=_first_sentence(error))

    async def redis(self, redis: "Client") -> Server:
        """Return Redis's state.

        Raises:
            TransientError: It does not answer; without it nothing can be said of the rest.
        """
        from millrace.stores.redis.cluster import every_primary
        from millrace.stores.redis.connect import RedisErrors, address_of

        with RedisErrors("asking Redis how it is"):
            async with every_primary(redis) as servers:
                found = [await server.info() for server in servers]
        used_mib = sum(int(info["used_memory"]) for info in found) / _MIB
        nodes = f", {len(found)} primaries" if len(found) > 1 else ""
        detail = f"{found[0]['redis_version']}{nodes}, {used_mib:.0f} MiB used"
        return Server(name="redis", address=address_of(self._settings), ok=True, detail=detail)

    def _model_server(self) -> "ModelServer":
        from millrace.model.triton_admin import make_admin

        if self._admin is None:
            self._admin = make_admin(self._settings)
        return self._admin

    def _end_offsets(self) -> dict[int, int]:
        from millrace.kernel.topic_reader import TopicReader

        if self._reader is None:
            self._reader = TopicReader(self._settings, self._settings.topics.events, "latest")
        return {place.partition: end for place, end in self._reader.end_offsets().items()}

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _kafka_error() -> type[Exception]:
    from kafka.errors import KafkaError

    error: type[Exception] = KafkaError
    return error


def _first_sentence(error: Exception) -> str:
    return (str(error) or type(error).__name__).split("; ")[0]
