"""What roles need from the stores, where several share it; Redis is the one adapter."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from millrace.kernel.contracts import CatalogueItem
from millrace.kernel.user_state import ServedList
from millrace.stores.redis.values import CatalogueChange, ItemSource, ServingPlan, StatisticsFlush


class CatalogueStore(Protocol):
    """Items: metadata and dense indexes."""

    async def assign(self, item_ids: Sequence[str]) -> list[int]:
        """Return the dense index of each id, registering unknown ones (as bare items) once, atomically."""
        ...

    async def upsert(self, items: Sequence[CatalogueItem], sources: Sequence[ItemSource] = ()) -> list[int]:
        """Write metadata, registering unknown items; returns their indexes.

        With the source of each, an item stored from a later record stays as it is.
        """
        ...

    async def changes_since(self, sequence: int) -> tuple[int, list[CatalogueChange]]:
        """Return the items changed after `sequence` and the new sequence; 0 reads everything."""
        ...

    async def sequence(self) -> int:
        """Return the current change sequence."""
        ...


class StatisticsStore(Protocol):
    """Item pages and popularity; written by the keeper (and a rebuild) only."""

    async def claim(self, partitions: Sequence[int], owner: str) -> dict[int, int]:
        """Take the partitions over; returns the last offset learned of each, -1 for none."""
        ...

    async def flush(self, owner: str, flush: StatisticsFlush) -> None:
        """Write everything in one transaction; sending the same flush again changes nothing.

        Raises:
            FencedError: Another keeper has claimed a partition, or a watermark is not where the flush starts.
        """
        ...

    async def pages(self, items: Sequence[int]) -> list[bytes | None]:
        """Fetch item pages with one MGET."""
        ...

    async def popularity(self, chunks: int) -> list[bytes | None]:
        """Fetch the first `chunks` popularity chunks."""
        ...

    async def tails(self, user_ids: Sequence[str]) -> list[bytes | None]:
        """Fetch the keeper's tails."""
        ...

    async def scalars(self) -> dict[str, str]:
        """Return the keeper's scalars, among them `clock` and `flush`."""
        ...


class ServingStore(Protocol):
    """The serving pointer, the version cards as workers need them, and live quality."""

    async def plan(self) -> ServingPlan:
        """Return the current plan."""
        ...

    async def set_plan(
        self, champion: str | None, challenger: str | None = None, challenger_share: float = 0.0
    ) -> ServingPlan:
        """Switch; workers follow within a batch."""
        ...

    async def put_model(self, version: str, card_json: bytes, vectors: bytes) -> None:
        """Store what workers need of a version, before it is made champion or challenger."""
        ...

    async def model_card(self, version: str) -> bytes | None:
        """Return the JSON stored by `put_model`."""
        ...

    async def model_vectors(self, version: str) -> bytes | None:
        """Return the float16 item vectors stored by `put_model`."""
        ...

    async def counters(self) -> dict[str, int]:
        """Return all counters."""
        ...

    async def live(self) -> dict[tuple[str, str], dict[str, float]]:
        """Return the live counts by (version, arm): events, hits, ndcg, popularity_hits, popularity_ndcg."""
        ...

    async def exploration(self, names: Sequence[str]) -> dict[str, int]:
        """Return the exploration counts of these names, 0 where nothing was counted."""
        ...

    async def heartbeat(self, role: str, instance: str, status: Mapping[str, object], ttl_s: float) -> None:
        """Publish a process's status for `millrace status`."""
        ...

    async def heartbeats(self) -> list[dict[str, object]]:
        """Return the status of every process heard from lately, each with its `role` and `instance`."""
        ...

    async def put_cold_list(self, served: ServedList, record: bytes = b"") -> None:
        """Store the list that a new user gets, with its reasons as a recommendation record if there is one."""
        ...

    async def cold_list(self) -> tuple[ServedList, bytes] | None:
        """Return what `put_cold_list` stored last."""
        ...
