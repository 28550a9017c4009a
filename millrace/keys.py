"""Every Redis key of Millrace and who writes it. What a person would look at is readable with redis-cli."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """The key names under one prefix.

    Args:
        prefix: Put before every key, so that several installations can share a server.
    """

    prefix: str = "millrace:"

    # Users: written by workers (and by a rebuild) only.

    def user(self, user_id: str) -> str:
        """Hash: count, value_sum, last_ts_ms, history (JSON [[item index, value, ts_ms], ...], newest first),
        event_hashes (binary), served (JSON of the list last shown), proposals (JSON of item indexes),
        recommendation (JSON record as last published).
        """  # noqa: D205
        return f"{self.prefix}user:{user_id}"

    def touched(self, user_id: str) -> str:
        """String: little-endian int32 indexes of every item the user ever acted on, in order of first touch."""
        return f"{self.prefix}touched:{user_id}"

    # Items: metadata written by workers, indexes assigned by whoever meets the item first.

    def item(self, item_id: str) -> str:
        """Hash: index, title, genres (JSON), year, available (0/1), attributes (JSON)."""
        return f"{self.prefix}item:{item_id}"

    @property
    def item_index(self) -> str:
        """Hash: item_id -> dense index, from 1; 0 is padding. Assigned once, never reused."""
        return f"{self.prefix}items:index"

    @property
    def item_id(self) -> str:
        """Hash: dense index -> item_id."""
        return f"{self.prefix}items:id"

    @property
    def item_changes(self) -> str:
        """Sorted set: item_id by the sequence number of its last change, for readers that keep up."""
        return f"{self.prefix}items:changes"

    @property
    def item_sequence(self) -> str:
        """Counter of catalogue changes."""
        return f"{self.prefix}items:sequence"

    # Statistics: written by the keeper (and by a rebuild) only.

    def page(self, item: int) -> str:
        """Binary: the neighbour page of the item with this index."""
        return f"{self.prefix}page:{item}"

    def popularity(self, chunk: int) -> str:
        """Binary: popularity of 1024 consecutive item indexes."""
        return f"{self.prefix}popularity:{chunk}"

    def tail(self, user_id: str) -> str:
        """Binary: the keeper's own short memory of a user."""
        return f"{self.prefix}tail:{user_id}"

    @property
    def statistics(self) -> str:
        """Hash: clock (events learned), flush (number of flushes), format, and other scalars of the keeper."""
        return f"{self.prefix}statistics"

    # Progress.

    def watermark(self, role: str, topic: str, partition: int) -> str:
        """Hash: state and done, the last offsets applied and fully handled; epoch and owner for fencing."""
        return f"{self.prefix}watermark:{role}:{topic}:{partition}"

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
        return f"{self.prefix}model:{version}"

    def model_vectors(self, version: str) -> str:
        """Binary: float16 item vectors [items + 1, width] of the version, for diversity."""
        return f"{self.prefix}model:{version}:vectors"

    def live(self, version: str, arm: str) -> str:
        """Hash: events, hits, ndcg, popularity_hits, popularity_ndcg graded on the stream."""
        return f"{self.prefix}live:{version}:{arm}"

    @property
    def live_index(self) -> str:
        """Set: the `version:arm` pairs that have a live hash."""
        return f"{self.prefix}live"

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

    def component(self, role: str, instance: str) -> str:
        """String with a time to live: JSON heartbeat of one process."""
        return f"{self.prefix}component:{role}:{instance}"

    @property
    def component_index(self) -> str:
        """Set: `component` keys, some of them perhaps expired."""
        return f"{self.prefix}components"

    @property
    def cold_list(self) -> str:
        """Hash: served and recommendation, as in a user's hash: the list a new user gets now."""
        return f"{self.prefix}cold_list"

    @property
    def retrain(self) -> str:
        """List: requests to the retrainer, each a JSON object; taken by whichever retrainer is free first."""
        return f"{self.prefix}retrain"
