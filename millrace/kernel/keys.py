"""Every Redis key of Millrace and who writes it. What a person would look at is readable with redis-cli.

On a Redis Cluster keys carry a hash tag, the part in braces, and those with the same tag are on the same node: users,
their watermark and what a batch counts by the partition of the events topic, item statistics by the keeper's shard,
items together. So each commit stays one atomic step. A single server's keys carry none.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from millrace.kernel.settings import Settings

# The keeper runs once and holds all items: one shard.
_STATISTICS_SHARD = "s0"
_STATISTICS_ROLE = "statistics"
_USERS_REMEMBERED = 65_536


@dataclass(frozen=True, slots=True)
class PartitionKeys:
    """The keys that one batch of a partition writes beside its users.

    Args:
        prefix: Put before every key, the hash tag included.
    """

    prefix: str

    @property
    def counters(self) -> str:
        """Hash: events_applied, duplicates, recommendations, fallback:<why>, dead:<reason>, ... since the start."""
        return f"{self.prefix}counters"

    @property
    def exploration(self) -> str:
        """Hash: shown and taken, in all and by item index (shown:7): lists with an explored item, and those of them
        whose user's next event was on it. Written by workers.
        """  # noqa: D205
        return f"{self.prefix}exploration"

    def live(self, version: str, arm: str) -> str:
        """Hash: events, hits, ndcg, popularity_hits, popularity_ndcg graded on the stream."""
        return f"{self.prefix}live:{version}:{arm}"

    @property
    def live_index(self) -> str:
        """Set: the `version:arm` pairs that have a live hash."""
        return f"{self.prefix}live"


@dataclass(frozen=True, slots=True)
class Keys:
    """The key names under one prefix.

    Args:
        prefix: Put before every key, so that several installations can share a server.
        partitions: On a Redis Cluster the number of partitions of the events topic, which decides where each user's
            keys are; 0 for a single server.
    """

    prefix: str = "millrace:"
    partitions: int = 0

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        """Return the key names of an installation."""
        return cls(settings.redis_prefix, settings.topic_partitions if settings.redis_clustered else 0)

    @property
    def clustered(self) -> bool:
        """Whether keys carry hash tags."""
        return self.partitions > 0

    def home(self, user_id: str) -> int | None:
        """Return the partition that a user's keys belong to; None on a single server, where they belong to none.

        It is the one that Kafka's default partitioner chooses for the user's id.
        """
        return _murmur2(user_id) % self.partitions if self.partitions else None

    def _tagged(self, tag: str) -> str:
        return f"{self.prefix}{{{tag}}}:" if self.partitions else self.prefix

    def _of_partition(self, partition: int | None) -> str:
        return self._tagged(f"p{partition}")

    # What a batch counts: by partition on a Redis Cluster, together on a single server.

    def in_partition(self, partition: int) -> PartitionKeys:
        """Return the keys that a batch of this partition counts in."""
        return PartitionKeys(self._of_partition(partition))

    def counted(self) -> list[PartitionKeys]:
        """Return every place that batches count in; the sum over all is the whole."""
        return [self.in_partition(partition) for partition in range(self.partitions or 1)]

    # Users: written by workers (and by a rebuild) only.

    def user(self, user_id: str) -> str:
        """Hash: count, value_sum, last_ts_ms, history (JSON [[item index, value, ts_ms], ...], newest first),
        event_hashes (binary), served (JSON of the list last shown), proposals (JSON of item indexes),
        recommendation (JSON record as last published).
        """  # noqa: D205
        return f"{self._of_partition(self.home(user_id))}user:{user_id}"

    def touched(self, user_id: str) -> str:
        """String: little-endian int32 indexes of every item the user ever acted on, in order of first touch."""
        return f"{self._of_partition(self.home(user_id))}touched:{user_id}"

    # Items: metadata written by workers, indexes assigned by whoever meets the item first.

    def item(self, item_id: str) -> str:
        """Hash: index, title, genres (JSON), year, available (0/1), attributes (JSON), source (see `_REGISTER`)."""
        return f"{self._tagged('items')}item:{item_id}"

    @property
    def item_index(self) -> str:
        """Hash: item_id -> dense index, from 1; 0 is padding. Assigned once, never reused."""
        return f"{self._tagged('items')}items:index"

    @property
    def item_id(self) -> str:
        """Hash: dense index -> item_id."""
        return f"{self._tagged('items')}items:id"

    @property
    def item_changes(self) -> str:
        """Sorted set: item_id by the sequence number of its last change, for readers that keep up."""
        return f"{self._tagged('items')}items:changes"

    @property
    def item_sequence(self) -> str:
        """Counter of catalogue changes."""
        return f"{self._tagged('items')}items:sequence"

    # Statistics: written by the keeper (and by a rebuild) only.

    @property
    def _statistics(self) -> str:
        return self._tagged(_STATISTICS_SHARD)

    def page(self, item: int) -> str:
        """Binary: the neighbour page of the item with this index."""
        return f"{self._statistics}page:{item}"

    def popularity(self, chunk: int) -> str:
        """Binary: popularity of 1024 consecutive item indexes."""
        return f"{self._statistics}popularity:{chunk}"

    def tail(self, user_id: str) -> str:
        """Binary: the keeper's own short memory of a user."""
        return f"{self._statistics}tail:{user_id}"

    @property
    def statistics(self) -> str:
        """Hash: clock (events learned), flush (number of flushes), format, and other scalars of the keeper."""
        return f"{self._statistics}statistics"

    # Progress.

    @property
    def layout(self) -> str:
        """Hash: partitions, the number of partitions of the events topic that users were last laid out for."""
        return f"{self.prefix}layout"

    def watermark(self, role: str, topic: str, partition: int) -> str:
        """Hash: state and done, the last offsets applied and fully handled; epoch and owner for fencing."""
        if role == _STATISTICS_ROLE:
            return f"{self._statistics}watermark:{role}:{topic}:{partition}"
        return f"{self._of_partition(partition)}watermark:{role}:{topic}:{partition}"

    def watermark_partitions(self, role: str, topic: str) -> str:
        """Set: the partitions that have a watermark hash."""
        return f"{self.prefix}watermark:{role}:{topic}"

    # Serving and quality.

    @property
    def serving(self) -> str:
        """Hash: champion, challenger, challenger_share (0 to 1), sequence, previous (champion before)."""
        return f"{self.prefix}serving"

    def model(self, version: str) -> str:
        """String: JSON of the version's card as workers need it (Triton name, shapes, fusion weights)."""
        return f"{self._tagged(version)}model:{version}"

    def model_vectors(self, version: str) -> str:
        """Binary: float16 item vectors [items + 1, width] of the version, for diversity."""
        return f"{self._tagged(version)}model:{version}:vectors"

    @property
    def counters(self) -> str:
        """Hash: what is counted outside of a batch, added to what batches count."""
        return f"{self.prefix}counters"

    def component(self, role: str, instance: str) -> str:
        """String with a time to live: JSON heartbeat of one process."""
        return f"{self._tagged('components')}component:{role}:{instance}"

    @property
    def component_index(self) -> str:
        """Set: `component` keys, some of them perhaps expired."""
        return f"{self._tagged('components')}components"

    @property
    def cold_list(self) -> str:
        """Hash: served and recommendation, as in a user's hash: the list a new user gets now."""
        return f"{self.prefix}cold_list"

    @property
    def retrain(self) -> str:
        """List: requests to the retrainer, each a JSON object; removed once a training has answered them."""
        return f"{self.prefix}retrain"


@lru_cache(maxsize=_USERS_REMEMBERED)
def _murmur2(user_id: str) -> int:
    """Return the hash by which Kafka's clients choose a key's partition, as they use it: without its sign."""
    from kafka.partitioner.default import murmur2

    value: int = murmur2(user_id.encode())
    return value & 0x7FFF_FFFF
