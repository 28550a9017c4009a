"""When the keeper writes next: an absent Redis delays a flush, and not the ones after it."""

import asyncio

import pytest

from millrace.kernel.contracts import EventPolicy
from millrace.kernel.errors import TransientError
from millrace.runtime.claims import PartitionGate
from millrace.stores.redis.values import StatisticsFlush
from millrace.streams.catalogue_view import CatalogueView
from millrace.streams.keeper import keeper as keeping
from millrace.streams.keeper.keeper import Keeper
from tests.unit.keeper.test_keeper_claim import Items, Store, record

FLUSH_S = 0.05
OUTAGE_S = 600.0


class Clock:
    """Time that passes only while somebody sleeps or a store is slow."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class AbsentStore(Store):
    """Answers no flush before the outage is over; one that it answers takes a while."""

    def __init__(self, clock: Clock, back_s: float, takes_s: float) -> None:
        super().__init__()
        self._clock, self._back_s, self._takes_s = clock, back_s, takes_s

    async def flush(self, owner: str, flush: StatisticsFlush) -> None:
        if self._clock.now_s < self._back_s:
            self._clock.now_s += 8.0
            raise TransientError("Redis did not answer.")
        self._clock.now_s += self._takes_s
        await super().flush(owner, flush)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(keeping.time, "monotonic", made.monotonic)
    monkeypatch.setattr("asyncio.sleep", made.sleep)
    return made


def next_flush_in_s(clock: Clock, outage_s: float, takes_s: float) -> float:
    """Learn a record, flush it through an outage, and return how far away the next flush is."""

    async def run() -> float:
        store, gate = AbsentStore(clock, clock.now_s + outage_s, takes_s), PartitionGate()
        made = Keeper(EventPolicy(), store, CatalogueView(Items(), True), gate, neighbours=8, flush_ms=50)
        await made.claim([0])
        await made.process([record(0)])
        clock.now_s += FLUSH_S
        assert await made.flush_if_due()
        assert store.watermark == 0
        return made.flush_due_in_s

    return asyncio.run(run())


def test_an_outage_does_not_delay_the_flushes_after_it(clock: Clock) -> None:
    assert next_flush_in_s(clock, OUTAGE_S, takes_s=0.0) == pytest.approx(FLUSH_S)


def test_a_slow_flush_makes_the_next_ones_rarer(clock: Clock) -> None:
    assert next_flush_in_s(clock, 0.0, takes_s=0.5) == pytest.approx(2.5)


def test_even_a_very_slow_flush_is_followed_by_another_soon(clock: Clock) -> None:
    assert next_flush_in_s(clock, 0.0, takes_s=60.0) == pytest.approx(10.0)
