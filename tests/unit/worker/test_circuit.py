"""A failing server is asked beside the stream, rarely, and used again as soon as it answers."""

import asyncio
from dataclasses import dataclass

from millrace.kernel.errors import TransientError
from millrace.streams.worker.circuit import Circuit


class Server:
    def __init__(self) -> None:
        self.away = True
        self.asked = 0

    async def attempt(self) -> None:
        self.asked += 1
        if self.away:
            raise TransientError("away")


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@dataclass
class Clock:
    now: float = 0.0


async def test_probes_are_spaced_and_one_answer_closes_it() -> None:
    clock, server = Clock(), Server()
    circuit = Circuit(now=lambda: clock.now, probe_interval_s=0.3)
    circuit.failed("scoring_unavailable", TransientError("away"))
    circuit.probe(server.attempt)
    await settle()
    assert server.asked == 0  # the failure itself was an attempt
    for clock.now, asked in ((0.3, 1), (0.4, 1), (0.65, 2)):
        circuit.probe(server.attempt)
        await settle()
        assert server.asked == asked
        assert circuit.open_because == "scoring_unavailable"
    server.away, clock.now = False, 1.0
    circuit.probe(server.attempt)
    await settle()
    assert circuit.open_because is None


async def test_only_one_probe_is_under_way() -> None:
    clock, asked = Clock(1.0), 0
    hangs = asyncio.Event()

    async def attempt() -> None:
        nonlocal asked
        asked += 1
        await hangs.wait()

    circuit = Circuit(now=lambda: clock.now, probe_interval_s=0.1)
    circuit.failed("scoring_timeout", TransientError("late"))
    for clock.now in (2.0, 3.0, 4.0):
        circuit.probe(attempt)
        await settle()
    assert asked == 1
    await circuit.close()
