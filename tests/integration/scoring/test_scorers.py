"""Both scorers give what the graph says, and fail in the agreed way."""

import asyncio
import dataclasses
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from millrace.apps.stacks.embedded import EmbeddedStack
from millrace.kernel.errors import TransientError
from millrace.model.triton_admin import LocalAdmin, ModelServer, TritonAdmin, make_admin
from millrace.streams.scoring.choose import make_scorer
from millrace.streams.scoring.onnx import OnnxScorer
from millrace.streams.scoring.scorer import Scorer
from millrace.streams.scoring.triton import TritonScorer

pytestmark = pytest.mark.services
TIMEOUT_S = 10.0


@dataclasses.dataclass(frozen=True)
class Side:
    """A scorer and the administration of what it asks."""

    admin: ModelServer
    make_scorer: Callable[[], Scorer]


@pytest.fixture(params=["triton", "in-process"])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Side]:
    if request.param == "in-process":
        yield Side(LocalAdmin(tmp_path), lambda: OnnxScorer(tmp_path))
        return
    url, repository = request.getfixturevalue("triton_server")
    admin = TritonAdmin(url, repository)
    yield Side(admin, lambda: TritonScorer(url))
    for name in admin.loaded():
        admin.unload(name)
    admin.close()


@pytest_asyncio.fixture
async def scorer(side: Side) -> AsyncIterator[Scorer]:
    scorer = side.make_scorer()
    yield scorer
    await scorer.close()


def unique_name() -> str:
    return f"recommender_{uuid.uuid4().hex[:8]}"


@pytest.mark.parametrize(("batch", "excluded"), [(1, 64), (3, 256), (64, 1024)])
async def test_distinct_values_come_back_unchanged(
    side: Side, scorer: Scorer, toy: Any, toy_graph: Callable[[float], Path], batch: int, excluded: int
) -> None:
    name = unique_name()
    side.admin.deploy(name, toy_graph(0.0))
    asked = toy.request(batch, excluded)
    toy.check(asked, await scorer.score(name, asked, TIMEOUT_S))
    # A second call finds no state left by the first.
    toy.check(asked, await scorer.score(name, asked, TIMEOUT_S))


async def test_requests_of_several_workers_keep_apart(
    side: Side, scorer: Scorer, toy: Any, toy_graph: Callable[[float], Path]
) -> None:
    name = unique_name()
    side.admin.deploy(name, toy_graph(0.0))
    # Equal and unequal shapes at once: the server may join some of them.
    asked = [toy.request(batch, excluded, seed) for seed, (batch, excluded) in enumerate([(2, 64)] * 10 + [(5, 256)])]
    answers = await asyncio.gather(*(scorer.score(name, one, TIMEOUT_S) for one in asked))
    for one, answer in zip(asked, answers, strict=True):
        toy.check(one, answer)


async def test_a_request_that_fails_takes_no_other_with_it(
    side: Side, scorer: Scorer, toy: Any, toy_graph: Callable[[float], Path]
) -> None:
    name = unique_name()
    side.admin.deploy(name, toy_graph(0.0))
    good = [toy.request(2, seed=seed) for seed in range(8)]
    bad = toy.request(2)
    bad.exclude[1, 3] = toy.table_rows + 5
    results = await asyncio.gather(
        *(scorer.score(name, one, TIMEOUT_S) for one in [*good[:4], bad, *good[4:]]), return_exceptions=True
    )
    failed = results.pop(4)
    assert isinstance(failed, TransientError)
    assert name in str(failed)
    for one, answer in zip(good, results, strict=True):
        assert not isinstance(answer, BaseException)
        toy.check(one, answer)


async def test_an_unknown_version_is_transient(scorer: Scorer, toy: Any) -> None:
    with pytest.raises(TransientError, match="recommender_v999"):
        await scorer.score("recommender_v999", toy.request(1), TIMEOUT_S)


async def test_swapping_under_load_fails_no_request(
    side: Side, scorer: Scorer, toy: Any, toy_graph: Callable[[float], Path]
) -> None:
    old, new = unique_name(), unique_name()
    side.admin.deploy(old, toy_graph(0.0))
    graph = toy_graph(1000.0)
    serving, answered, stop = {old: 0.0}, {old: 0, new: 0}, asyncio.Event()

    async def ask(seed: int) -> None:
        asked = toy.request(4, seed=seed)
        while not stop.is_set():
            ((name, shift),) = serving.items()
            toy.check(asked, await scorer.score(name, asked, TIMEOUT_S), shift)
            answered[name] += 1

    async def until_answered(name: str, more: int) -> None:
        goal = answered[name] + more
        async with asyncio.timeout(30):
            while answered[name] < goal:
                await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(ask(seed)) for seed in range(4)]
    await until_answered(old, 20)
    await asyncio.to_thread(side.admin.deploy, new, graph)
    serving.clear()
    serving[new] = 1000.0
    await until_answered(new, 20)
    await asyncio.to_thread(side.admin.unload, old)
    await until_answered(new, 20)
    stop.set()
    await asyncio.gather(*tasks)
    assert side.admin.loaded() == [new]


async def test_a_server_that_hangs_costs_no_more_than_the_deadline(
    embedded_stack: Any, toy: Any, toy_graph: Callable[[float], Path]
) -> None:
    settings = embedded_stack.settings
    admin, scorer = TritonAdmin(settings.triton_url, settings.triton_repository_dir), TritonScorer(settings.triton_url)
    name, asked = unique_name(), toy.request(2)
    admin.deploy(name, toy_graph(0.0))
    toy.check(asked, await scorer.score(name, asked, TIMEOUT_S))
    pid = embedded_stack.triton.child.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        # More than may be in flight: those that wait for their turn are bound by the deadline as well.
        results = await asyncio.gather(*(scorer.score(name, asked, 0.2) for _ in range(12)), return_exceptions=True)
        assert all(isinstance(result, TransientError) for result in results), results
        assert time.monotonic() - begun < 2.0
    finally:
        os.kill(pid, signal.SIGCONT)
    toy.check(asked, await scorer.score(name, asked, TIMEOUT_S))
    await scorer.close()
    admin.unload(name)
    admin.close()


async def test_a_killed_server_comes_back_with_its_models(
    tmp_path: Path, toy: Any, toy_graph: Callable[[float], Path]
) -> None:
    with EmbeddedStack(tmp_path / "home") as stack:
        admin, scorer = make_admin(stack.settings), make_scorer(stack.settings)
        name, asked = unique_name(), toy.request(2)
        admin.deploy(name, toy_graph(0.0))
        toy.check(asked, await scorer.score(name, asked, TIMEOUT_S))
        assert stack.supervise() == []
        assert stack.triton is not None
        assert stack.triton.child is not None
        os.kill(stack.triton.child.pid, signal.SIGKILL)
        assert stack.triton.child.wait(5)
        with pytest.raises(TransientError):
            await scorer.score(name, asked, 1.0)
        (sentence,) = stack.supervise()
        assert "code -9" in sentence
        # The same client finds the server again by itself.
        async with asyncio.timeout(15):
            while True:
                try:
                    toy.check(asked, await scorer.score(name, asked, 1.0))
                    break
                except TransientError:
                    await asyncio.sleep(0.05)
        assert admin.loaded() == [name]
        admin.close()
        await scorer.close()


async def test_a_server_that_is_away_is_transient(toy: Any) -> None:
    scorer = TritonScorer("127.0.0.1:1")
    with pytest.raises(TransientError, match="127.0.0.1:1"):
        await scorer.score("recommender_v000001", toy.request(1), 2.0)
    await scorer.close()
