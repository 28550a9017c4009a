"""Comparing item statistics: pure.

Counts do not depend on the order in which users' events were learned, and have to be the same. Sums of floating-point
numbers depend on it in their last bits only. Decayed numbers depend on it fully: the keeper reads
partitions in parallel, the log has them merged by time of arrival. With one streamed partition the order is the same
one, and every bit is compared. With several, decayed numbers and clocks only have to be possible, and time-decayed
transitions and the neighbours of a full row, which depend on who was evicted when, are left out.

After somebody was forgotten, and until the next rebuild, pages still hold what followed what in that history, without
whose it was: they may then hold more than the log says, but not less.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from millrace.streams.statistics import ItemStatistics
from millrace.streams.statistics.popularity import CHUNK_ITEMS, Popularity
from millrace.streams.statistics.row_kernels import COVISITED, SHORT, WIDE
from millrace.streams.statistics.rows import Page, Rows, parse_page
from millrace.streams.verify.differences import Difference

# Adding n numbers of 64 bits in another order changes the sum by at most n * 1.1e-16 of it: this is a million of them.
_SUM_TOLERANCE = 1e-10
# The same for numbers of 32 bits (6e-8 each): ten thousand additions to one pair of items, and a fade at each of them.
_SINGLE_TOLERANCE = 1e-3
# Below this a decayed number is nothing.
_NOTHING = 1e-6
# These do not fade: transitions over few and over many lags, co-visitation.
_LASTING = {"transitions": SHORT, "wide transitions": WIDE, "co-visitation": COVISITED}
_SLOTS = list(_LASTING.values())
# Totals that do not depend on the order, but for rounding.
_TOTALS = ("clock", "last_ts_ms", "value_sum")

NameOf = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Order:
    """What is known of how the keeper learned.

    Args:
        one_partition: All streamed events lie in one partition: it can only have learned in the log's order.
        forgotten_events: Events that the pages still hold, without whose they were, and the log no longer does.
    """

    one_partition: bool
    forgotten_events: int = 0

    @property
    def exact(self) -> bool:
        """Whether every bit has to be the same."""
        return self.one_partition and not self.forgotten_events


def compare_totals(logged: ItemStatistics, stored: Mapping[str, str], order: Order) -> list[Difference]:
    """Return how the keeper's totals differ."""
    expected = logged.scalars()
    if not logged.clock and "clock" not in stored:
        return []
    names = set(expected if order.exact else _TOTALS)
    if order.forgotten_events:
        # Nothing is left of when it was.
        names.discard("last_ts_ms")
    return [
        Difference("statistics", name, "total", float(expected[name]), _number(stored.get(name)))
        for name in sorted(names)
        if not _near(float(expected[name]), _number(stored.get(name)))
    ]


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _near(logged: float, stored: float | None) -> bool:
    return stored is not None and bool(np.isclose(logged, stored, rtol=_SUM_TOLERANCE, atol=_SUM_TOLERANCE))


class PopularityComparison:
    """Compares chunks of popularity.

    Args:
        name_of: From an item's index to its id.
        order: How the keeper learned.

    Attributes:
        displacement: The largest distance in events between an item's clocks and the log's.
    """

    def __init__(self, name_of: NameOf, order: Order) -> None:
        self.displacement = 0
        self._name_of = name_of
        self._order = order

    def compare(self, chunk: int, logged: Popularity, data: bytes | None) -> list[Difference]:
        """Return how a chunk differs.

        Args:
            chunk: Its number.
            logged: As recomputed, of all items.
            data: As stored.
        """
        stored = Popularity()
        try:
            stored.decode(0, data)
        except ValueError as error:
            return [Difference("popularity", self._name_of(chunk * CHUNK_ITEMS), "chunk", "readable", str(error))]
        logged.ensure((chunk + 1) * CHUNK_ITEMS)
        part = slice(chunk * CHUNK_ITEMS, (chunk + 1) * CHUNK_ITEMS)
        counts, sums = (logged.counts[part], stored.counts), (logged.value_sums[part], stored.value_sums)
        found = self._named(chunk, "events", *counts, counts[0] != counts[1])
        same_sums = np.isclose(*sums, rtol=_SUM_TOLERANCE, atol=_SUM_TOLERANCE)
        found += self._named(chunk, "sum of values", *sums, ~same_sums)
        return found + self._compare_decayed(chunk, part, logged, stored)

    def _compare_decayed(self, chunk: int, part: slice, logged: Popularity, stored: Popularity) -> list[Difference]:
        clocks = {
            "clock of the last event": (logged.last_clock[part], stored.last_clock),
            "clock of the first event": (logged.first_clock[part], stored.first_clock),
        }
        apart = max(int(np.abs(one - other).max()) for one, other in clocks.values())
        self.displacement = max(self.displacement, apart)
        if not self._order.exact:
            return self._compare_plausibility(chunk, stored)
        found = []
        for name, pair in clocks.items():
            found += self._named(chunk, name, *pair, pair[0] != pair[1])
        for name, one, other in (
            ("decayed", logged.decayed[part], stored.decayed),
            ("decayed by history length", logged.by_history[part], stored.by_history),
        ):
            found += self._named(chunk, name, one, other, (one != other).any(axis=1))
        return found

    def _compare_plausibility(self, chunk: int, stored: Popularity) -> list[Difference]:
        """Return where no order of events leads to what is stored."""
        decayed, counts = stored.decayed, stored.counts
        slower = (np.diff(decayed, axis=1) >= -_SINGLE_TOLERANCE * decayed[:, 1:] - _NOTHING).all(axis=1)
        clocks = (stored.first_clock > 0) & (stored.first_clock <= stored.last_clock)
        numbers = (
            np.isfinite(decayed).all(axis=1) & (decayed >= 0.0).all(axis=1) & np.isfinite(stored.by_history).all(axis=1)
        )
        possible = numbers & slower & (clocks | (counts == 0))
        rule = np.full(len(counts), "finite, slower decay not below faster, first clock not after last")
        return self._named(chunk, "decayed counts and clocks", rule, decayed, ~possible)

    def _named(
        self, chunk: int, field: str, logged: NDArray[Any], stored: NDArray[Any], different: NDArray[np.bool_]
    ) -> list[Difference]:
        return [
            Difference(
                "popularity",
                self._name_of(chunk * CHUNK_ITEMS + place),
                field,
                logged[place].tolist(),
                stored[place].tolist(),
            )
            for place in np.flatnonzero(different).tolist()
        ]


class PageComparison:
    """Compares pages of neighbours.

    Args:
        name_of: From an item's index to its id.
        order: How the keeper learned.
        neighbours: Most neighbours of a row.
    """

    def __init__(self, name_of: NameOf, order: Order, neighbours: int) -> None:
        self._name_of = name_of
        self._order = order
        self._neighbours = neighbours

    def compare(self, item: int, logged: Rows, data: bytes | None) -> list[Difference]:
        """Return how an item's page differs.

        Args:
            item: Its index.
            logged: All rows as recomputed.
            data: As stored.
        """
        expected = logged.encode(item)
        if expected == data or (data is None and not logged.lengths[item]):
            return []
        try:
            stored = parse_page(item, data)
        except ValueError as error:
            return [Difference("page", self._name_of(item), "page", "readable", str(error))]
        found = self._compare_sums(item, logged.sums[item, _SLOTS], stored.sums[_SLOTS])
        # Who was evicted from a full row depends on the order.
        if self._order.exact or logged.lengths[item] < logged.neighbours:
            found += self._compare_neighbours(item, logged, stored)
        if self._order.exact and not found:
            found.append(Difference("page", self._name_of(item), "bytes", expected.hex(), (data or b"").hex()))
        return found

    def _compare_sums(self, item: int, logged: NDArray[np.float64], stored: NDArray[np.float64]) -> list[Difference]:
        return [
            Difference("page", self._name_of(item), f"sum of {field}", float(one), float(other))
            for field, one, other in zip(_LASTING, logged, stored, strict=True)
            if not (_near(one, other) or (self._order.forgotten_events and other > one))
        ]

    def _compare_neighbours(self, item: int, logged: Rows, stored: Page) -> list[Difference]:
        length, kept = int(logged.lengths[item]), min(len(stored.ids), self._neighbours)
        one_ids, one = _sorted_neighbours(logged.ids[item, :length], logged.values[item, :length])
        other_ids, other = _sorted_neighbours(stored.ids[:kept], stored.values[:kept])
        name = self._name_of(item)
        if self._order.forgotten_events:
            # Forgotten users have left neighbours, and larger numbers for others' neighbours. In a full row these may
            # have taken others' places.
            if kept == self._neighbours:
                return []
            both = np.isin(other_ids, one_ids)
            other_ids, other = other_ids[both], other[both]
        if not np.array_equal(one_ids, other_ids):
            return [Difference("page", name, "neighbours", one_ids.tolist(), other_ids.tolist())]
        different = ~np.isclose(one, other, rtol=_SINGLE_TOLERANCE, atol=_NOTHING)
        if self._order.forgotten_events:
            different &= other < one
        fields = tuple(_LASTING)
        return [
            Difference(
                "page",
                name,
                f"{fields[slot]} with {self._name_of(int(one_ids[place]))}",
                float(one[place, slot]),
                float(other[place, slot]),
            )
            for place, slot in np.argwhere(different).tolist()
        ]


def _sorted_neighbours(
    ids: NDArray[np.int32], values: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the neighbours [L] of a row by index, and [L, 3] those of their numbers that do not fade."""
    order = np.argsort(ids)
    return ids[order], values[order][:, _SLOTS]
