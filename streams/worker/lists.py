"""Steps 5 and 6 up to the finished lists: candidates, one scoring call per version, rules; and the grading of lists."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from millrace.kernel.errors import TransientError
from millrace.kernel.user_state import ServedList, UserState
from millrace.runtime.step_times import StepTimes
from millrace.stores.redis.values import LiveGrade
from millrace.streams.ranking import (
    CandidateBatch,
    CandidateStep,
    FusionWeights,
    ListedItem,
    ListRules,
    RankedItems,
    grade,
    select_list,
)
from millrace.streams.ranking.exploration import ExplorationPolicy
from millrace.streams.scoring.scorer import Scorer, ScoreRequest, ScoreResponse
from millrace.streams.worker.circuit import Circuit
from millrace.streams.worker.dependencies import ListRequest, MadeList
from millrace.streams.worker.models import ServingModel, ServingModels
from millrace.streams.worker.pages import PageCache
from millrace.streams.worker.plan import Grader
from millrace.streams.worker.recommendations import NO_MODEL, NOTHING_LEFT, TIMEOUT, UNAVAILABLE, PublishedItem

logger = logging.getLogger(__name__)

FAILED_REQUESTS = "failed_requests"
# Under this name lists without a version are graded.
NO_VERSION = "fallback"
COLD_LIST_ID = "cold"
# A failure after this share of the deadline is put down to the deadline.
_NEARLY = 0.95
# Users in one scoring request: enough to make the request's own cost small, few enough that the server and this process
# work at the same time on a larger batch.
_SCORED_TOGETHER = 32
# A gRPC call needs this many turns of the event loop until its bytes are on their way.
_TURNS_TO_SEND = 4
_SCORE_DIGITS, _RATING_DIGITS = 5, 2
# Significant digits: a small propensity divides what is learned from its list, and may not become 0.
_PROPENSITY_DIGITS = 4


@dataclass(frozen=True, slots=True)
class _Group:
    """The requests of a batch that one version answers."""

    places: list[int]
    arm: str
    model: ServingModel | None
    candidates: CandidateBatch
    request: ScoreRequest | None


class OnlineLists:
    """Makes lists with the served versions, or from the online counts while no version answers.

    Args:
        step: Finds and describes candidates.
        pages: Keeps the step's statistics current.
        models: Which version serves whom.
        scorer: Scores with a version.
        rules: How a list is made from a ranking.
        deadline_ms: Longest wait for a score.
        new_circuit: Makes what keeps an absent model from holding up the stream, one for each version.
        exploration: Chooses what the exploration slot shows; somebody else teaches it.
    """

    def __init__(
        self,
        step: CandidateStep,
        pages: PageCache,
        models: ServingModels,
        scorer: Scorer,
        rules: ListRules,
        deadline_ms: int,
        new_circuit: Callable[[], Circuit] = Circuit,
        exploration: ExplorationPolicy | None = None,
    ) -> None:
        self._step = step
        self._pages = pages
        self._models = models
        self._scorer = scorer
        self._rules = rules
        self._deadline_s = deadline_ms / 1000
        self._exploration = exploration or ExplorationPolicy()
        self._failed_requests = 0
        self._newest_ms = 0
        self._default_weights = FusionWeights.default()
        self._weights: dict[str, FusionWeights] = {}
        self._new_circuit = new_circuit
        self._circuits: dict[str, Circuit] = {}
        self.cold: ServedList | None = None
        self.times = StepTimes()

    def grader(self) -> Grader:
        """Return what grades lists in the coming batch: all by the same popularity and the same list of new users."""
        popularity = self._step.statistics.popularity_order()
        cold = self.cold

        def graded(state: UserState, item: int) -> LiveGrade | None:
            served = state.served or cold
            if served is None:
                return None
            result = grade(served.items, item, popularity, state.touched)
            return LiveGrade(
                served.version or NO_VERSION,
                served.arm,
                result.hit,
                result.ndcg,
                result.popularity_hit,
                result.popularity_ndcg,
            )

        return graded

    @property
    def open_because(self) -> str | None:
        """Why a version that serves is not asked for scores at present; None if each of them is."""
        circuits = [self._circuits.get(version) for version in self._models.versions.values()]
        return next((each.open_because for each in circuits if each is not None and each.open_because), None)

    async def close(self) -> None:
        """End the probes that are under way."""
        for circuit in self._circuits.values():
            await circuit.close()

    def take_counters(self) -> dict[str, int]:
        """Return what has been counted since the last call."""
        failed, self._failed_requests = self._failed_requests, 0
        return {FAILED_REQUESTS: failed} if failed else {}

    async def make(self, requests: Sequence[ListRequest]) -> list[MadeList]:
        """Make one list per request, in order.

        Raises:
            TransientError: The statistics cannot be read.
        """
        self._newest_ms = max(self._newest_ms, max(request.now_ms for request in requests))
        return await self._make(requests, self._rules)

    async def make_cold(self) -> MadeList:
        """Make the list a new user gets now, and grade users without a list by it from now on."""
        now_ms = self._newest_ms or time.time_ns() // 1_000_000
        request = ListRequest(COLD_LIST_ID, UserState(""), now_ms)
        (made,) = await self._make([request], replace(self._rules, exploration_rate=0.0))
        self.cold = made.served
        return made

    async def _make(self, requests: Sequence[ListRequest], rules: ListRules) -> list[MadeList]:
        with self.times.measure("pages"):
            await self._pages.ensure(self._step.needed_pages([request.state for request in requests]))
        asked = []
        for places, arm, model in self._shares(requests):
            with self.times.measure("candidates"):
                group = self._group(requests, places, arm, model)
            asked.append((group, asyncio.ensure_future(self._score(group))))
            await _let_requests_go()
        made: dict[int, MadeList] = {}
        for group, answer in asked:
            with self.times.measure("score"):
                response, fallback = await answer
            with self.times.measure("select"):
                for row, place in enumerate(group.places):
                    made[place] = self._select(requests[place], rules, group, row, response, fallback)
        return [made[place] for place in range(len(requests))]

    def _shares(self, requests: Sequence[ListRequest]) -> Iterator[tuple[list[int], str, ServingModel | None]]:
        """Yield the places of the requests that are scored together: one version's, some at a time.

        While the server scores one share, the candidates of the next are found and the lists of the last are made.
        """
        places: dict[str, list[int]] = {}
        models: dict[str, ServingModel | None] = {}
        for place, request in enumerate(requests):
            arm, models[arm] = self._models.model_for(request.state.user_id)
            places.setdefault(arm, []).append(place)
        for arm, mine in places.items():
            for first in range(0, len(mine), _SCORED_TOGETHER):
                yield mine[first : first + _SCORED_TOGETHER], arm, models[arm]

    def _group(
        self, requests: Sequence[ListRequest], places: list[int], arm: str, model: ServingModel | None
    ) -> _Group:
        states = [requests[place].state for place in places]
        now_ms = [requests[place].now_ms for place in places]
        candidates = self._step.build(states, now_ms, self._weights_of(model))
        return _Group(places, arm, model, candidates, candidates.request() if model else None)

    def _weights_of(self, model: ServingModel | None) -> FusionWeights:
        if model is None:
            return self._default_weights
        version = model.card.version
        if version not in self._weights:
            self._weights = {version: FusionWeights.from_card(model.card), **dict(list(self._weights.items())[:3])}
        return self._weights[version]

    async def _score(self, group: _Group) -> tuple[ScoreResponse | None, str | None]:
        """Return the model's answer, or None and why there is none; never waits longer than the deadline."""
        if group.model is None or group.request is None:
            return None, NO_MODEL
        circuit = self._circuit_of(group.model.card.version)
        attempt = self._attempt(group.model.card.triton_model, group.request)
        if circuit.open_because is not None:
            circuit.probe(attempt)
            return None, circuit.open_because
        started = time.perf_counter()
        try:
            return await attempt(), None
        except TransientError as error:
            late = time.perf_counter() - started >= _NEARLY * self._deadline_s
            self._failed_requests += 1
            circuit.failed(TIMEOUT if late else UNAVAILABLE, error)
        except Exception as error:
            logger.exception("Scoring failed unexpectedly.")
            self._failed_requests += 1
            circuit.failed(UNAVAILABLE, error)
        return None, circuit.open_because

    def _circuit_of(self, version: str) -> Circuit:
        """Return a version's own circuit: a challenger that fails does not cost the champion's users their lists."""
        if version not in self._circuits:
            for gone in self._circuits.keys() - set(self._models.versions.values()):
                self._circuits.pop(gone).give_up()
            self._circuits[version] = self._new_circuit()
        return self._circuits[version]

    def _attempt(self, triton_model: str, request: ScoreRequest) -> Callable[[], Awaitable[ScoreResponse]]:
        async def attempt() -> ScoreResponse:
            response = await self._scorer.score(triton_model, request, self._deadline_s)
            if len(response.items) != len(request.candidates):
                raise TransientError(
                    f"{triton_model} answered {len(response.items)} rows, not {len(request.candidates)}."
                )
            return response

        return attempt

    def _select(
        self,
        request: ListRequest,
        rules: ListRules,
        group: _Group,
        row: int,
        response: ScoreResponse | None,
        fallback: str | None,
    ) -> MadeList:
        vectors = group.model.vectors if group.model is not None else None
        listed: list[ListedItem] = []
        proposals: NDArray[np.int32] | None = None
        if response is not None and group.request is not None:
            ranked = RankedItems.from_response(group.request, response, row)
            listed = self._listed(rules, ranked, request, vectors)
            proposals = response.proposals[row][response.proposals[row] > 0]
        if response is None or not listed:
            ranked = RankedItems.from_linear(group.candidates, row)
            listed = self._listed(rules, ranked, request, vectors)
            fallback = fallback or NOTHING_LEFT
        version = group.model.card.version if group.model is not None and fallback is None else None
        explored = next((item.item for item in listed if item.propensity is not None), 0)
        items = tuple(item.item for item in listed)
        served = ServedList(items, version, group.arm, request.recommendation_id, explored)
        return MadeList(served, fallback, [self._published(item) for item in listed], proposals)

    def _listed(
        self,
        rules: ListRules,
        ranked: RankedItems,
        request: ListRequest,
        vectors: NDArray[np.float32] | None,
    ) -> list[ListedItem]:
        return select_list(
            rules, ranked, request.state, self._step, request.recommendation_id, vectors, self._exploration
        )

    def _published(self, item: ListedItem) -> PublishedItem:
        rating = item.predicted_rating
        return PublishedItem(
            self._step.catalogue.item_id(item.item),
            round(item.score, _SCORE_DIGITS),
            None if rating is None else round(rating, _RATING_DIGITS),
            item.reason,
            None if item.because is None else self._step.catalogue.item_id(item.because),
            None if item.propensity is None else float(f"{item.propensity:.{_PROPENSITY_DIGITS}g}"),
        )


async def _let_requests_go() -> None:
    """Give the event loop the turns it needs to send a request that was just made."""
    for _ in range(_TURNS_TO_SEND):
        await asyncio.sleep(0)
