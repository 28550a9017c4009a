"""Titles for people who read lists: from Redis where the library is installed, else from the topic `items`."""

from collections.abc import Iterable
from typing import Any, Protocol

from pydantic import ValidationError

from millrace.kernel.contracts import CatalogueItem, Recommendation
from millrace.kernel.keys import Keys
from millrace.kernel.settings import Settings
from millrace.kernel.topic_reader import TopicReader

_REDIS_TIMEOUT_S = 1.0
_TOPIC_TIMEOUT_S = 30.0


class Titles(Protocol):
    """Looks up how an item is called."""

    def learn(self, recommendation: Recommendation) -> None:
        """Make the titles of a list's items known."""

    def title(self, item_id: str) -> str:
        """Return the title with its year, or the id when there is none."""


def open_titles(settings: Settings) -> Titles:
    """Return the quickest source of titles there is."""
    try:
        import redis
    except ModuleNotFoundError:
        return TopicTitles(settings)
    try:
        client = _connect(settings)
    except (redis.RedisError, redis.RedisClusterException):
        return TopicTitles(settings)
    return RedisTitles(client, Keys.of(settings))


def _connect(settings: Settings) -> Any:
    import redis

    from millrace.stores.redis.connect import cluster_address

    options = {"decode_responses": True, "socket_timeout": _REDIS_TIMEOUT_S, "socket_connect_timeout": 1}
    if settings.redis_clustered:
        url, _ = cluster_address(settings.redis_url)
        return redis.RedisCluster.from_url(url, **options)
    client = redis.Redis.from_url(settings.redis_url, **options)
    client.ping()
    return client


class RedisTitles:
    """Reads titles as lists name them; each is kept, since a title hardly ever changes.

    Args:
        client: A connected client that decodes responses.
        keys: Key names.
    """

    def __init__(self, client: Any, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._titles: dict[str, str] = {}

    def learn(self, recommendation: Recommendation) -> None:
        """Fetch what is not known yet in one round trip."""
        missing = [item_id for item_id in _named(recommendation) if item_id not in self._titles]
        if not missing:
            return
        pipeline = self._client.pipeline(transaction=False)
        for item_id in missing:
            pipeline.hmget(self._keys.item(item_id), "title", "year")
        for item_id, (title, year) in zip(missing, pipeline.execute(), strict=True):
            if title:
                self._titles[item_id] = with_year(title, year)

    def title(self, item_id: str) -> str:
        """Return the title with its year, or the id when there is none."""
        return self._titles.get(item_id, item_id)


class TopicTitles:
    """Reads the whole catalogue once, and new items with every list.

    Args:
        settings: Addresses.
    """

    def __init__(self, settings: Settings) -> None:
        self._reader = TopicReader(settings, settings.topics.items, "earliest")
        self._titles: dict[str, str] = {}
        for record in self._reader.read_to_end(_TOPIC_TIMEOUT_S):
            self._take(record)

    def learn(self, recommendation: Recommendation) -> None:
        """Take in the items that were published meanwhile."""
        for record in self._reader.read_to_end(_TOPIC_TIMEOUT_S):
            self._take(record)

    def title(self, item_id: str) -> str:
        """Return the title with its year, or the id when there is none."""
        return self._titles.get(item_id, item_id)

    def _take(self, record: Any) -> None:
        try:
            item = CatalogueItem.model_validate_json(record.value or b"")
        except ValidationError:
            return  # a dead letter by now; its item keeps its id as a name
        if item.title:
            self._titles[item.item_id] = with_year(item.title, item.year)


def with_year(title: str, year: int | str | None) -> str:
    """Return "Title (1995)", or the title alone."""
    return f"{title} ({year})" if year else title


def _named(recommendation: Recommendation) -> Iterable[str]:
    """Yield the ids of the items in a list and of those that its reasons name."""
    for item in recommendation.items:
        yield item.item_id
        if item.reason.item_id is not None:
            yield item.reason.item_id
