"""The worker's view of the item statistics: pages fetched when first needed, refreshed behind the batches."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from millrace.stores.redis.readable import readable_statistics
from millrace.streams.statistics.popularity import CHUNK_ITEMS

# Decoding one page takes some microseconds; this many at a time never hold the event loop for more than 2 ms or so.
_PAGES_PER_READ = 128


class StatisticsReader(Protocol):
    """What the worker reads of `StatisticsStore`."""

    async def pages(self, items: Sequence[int]) -> list[bytes | None]:
        """Fetch item pages with one MGET."""
        ...

    async def popularity(self, chunks: int) -> list[bytes | None]:
        """Fetch the first `chunks` popularity chunks."""
        ...

    async def scalars(self) -> dict[str, str]:
        """Return the keeper's scalars."""
        ...


class StatisticsView(Protocol):
    """What the worker fills of `ItemStatistics`."""

    def load_page(self, item: int, data: bytes | None) -> None:
        """Replace an item's row."""
        ...

    def load_popularity_chunk(self, chunk: int, data: bytes | None) -> None:
        """Replace a chunk of popularity."""
        ...

    def load_scalars(self, scalars: dict[str, str]) -> None:
        """Take over the clock and the totals."""
        ...


class PageCache:
    """The worker's item statistics, as of the last `refresh`.

    A batch waits for a page only the first time it needs it. From then on `refresh`, called in the background, reads
    the page again when the keeper has flushed and the page has been used since the last refresh.

    Args:
        store: Where the keeper writes.
        statistics: Filled with what is read.
        max_index: Returns the highest item index known.
    """

    def __init__(
        self,
        store: StatisticsReader,
        statistics: StatisticsView,
        max_index: Callable[[], int],
    ) -> None:
        self._store = store
        self._statistics = statistics
        self._max_index = max_index
        self._flush: str | None = None
        # Items whose page is here and will be refreshed.
        self._fresh: set[int] = set()
        self._used: set[int] = set()
        self.pages_read = 0

    async def ensure(self, items: Iterable[int]) -> None:
        """Read the pages that have never been read.

        Raises:
            TransientError: The store is away.
            FatalError: A page cannot be read.
        """
        wanted = set(items)
        self._used |= wanted
        missing = sorted(wanted - self._fresh)
        if missing:
            await self._read(missing)

    async def refresh(self) -> bool:
        """Read everything that may have changed if the keeper has flushed since; returns whether it has.

        Raises:
            TransientError: The store is away.
            FatalError: Something cannot be read.
        """
        scalars = await self._store.scalars()
        flush = scalars.get("flush", scalars.get("clock"))
        if flush == self._flush:
            return False
        chunks = self._max_index() // CHUNK_ITEMS + 1
        popularity = await self._store.popularity(chunks)
        # After it, and put in place together: a keeper may have flushed meanwhile, and a clock behind the one at which
        # an item was last touched gives that item an age below zero.
        scalars = await self._store.scalars()
        with readable_statistics():
            for chunk, data in enumerate(popularity):
                self._statistics.load_popularity_chunk(chunk, data)
            self._statistics.load_scalars(scalars)
        used, self._used = self._used, set()
        # A page that nobody has used lately is read again when it is next needed.
        self._fresh &= used
        await self._read(sorted(used))
        self._flush = flush
        return True

    async def _read(self, items: Sequence[int]) -> None:
        for start in range(0, len(items), _PAGES_PER_READ):
            part = items[start : start + _PAGES_PER_READ]
            pages = await self._store.pages(part)
            with readable_statistics():
                for item, data in zip(part, pages, strict=True):
                    self._statistics.load_page(item, data)
                    self._fresh.add(item)
            self.pages_read += len(part)
