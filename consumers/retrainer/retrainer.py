"""The retrainer: waits for a reason to train, trains in a child process, judges the version, switches to it."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from millrace.consumers.retrainer.child import TrainingChild, TrainingEndedError
from millrace.consumers.retrainer.gate import Verdict, judge
from millrace.consumers.retrainer.requests import pending_requests, remove_requests
from millrace.consumers.retrainer.schedule import Schedule
from millrace.consumers.retrainer.service import Service
from millrace.consumers.retrainer.stages import Stages
from millrace.consumers.retrainer.state import IDLE, RetrainerStatus
from millrace.kernel.backoff import LONGEST_S
from millrace.kernel.errors import FatalError, TransientError
from millrace.model.registry import Version
from millrace.runtime.retry import Retry
from millrace.runtime.signals import unless_stopped
from millrace.stores.event_log import EventLog
from millrace.stores.redis.stores import Stores
from millrace.stores.redis.values import ServingPlan

_log = logging.getLogger(__name__)

POLL_S = 0.5
CARE_INTERVAL_S = 5.0
# A turn without a training may load a model and warm it up; the model server has timeouts shorter than this.
TURN_STALLED_S = 120.0
# A training reports the share of each phase; the longest silence is reading a log of many million events.
TRAINING_STALLED_S = 1800.0
# Fewer events make no first model; `millrace.model.training` refuses them too.
MIN_FIRST_EVENTS = 200
# A killed training is tried again; one that keeps dying waits for the next reason.
MAX_ATTEMPTS = 3
ASKED_FOR = "asked for"
NO_ENCODER = "the encoder has not learned yet"
# What the training process renews: what its rhythm says, everything, or fusion and re-ranker without an encoder.
DUE, ALL, RANKER = "due", "all", "ranker"


class Retrainer:
    """Trains versions and puts them into service until it is stopped.

    Args:
        log: The event log; read only.
        stores: The stores of the running event loop.
        service: What puts versions into service.
        child: Runs a training.
        schedule: When to train besides on request.
        quick_first: Whether the first version comes without an encoder, which is trained after it.
        now: Clock in seconds, for health.
    """

    def __init__(
        self,
        log: EventLog,
        stores: Stores,
        service: Service,
        child: TrainingChild,
        schedule: Schedule,
        quick_first: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._stores = stores
        self._service = service
        self._child = child
        self._schedule = schedule
        self._quick_first = quick_first
        # The champion without an encoder, and the last one after which training an encoder was tried.
        self._without_encoder: str | None = None
        self._encoder_tried_after: str | None = None
        self._stop = asyncio.Event()
        self._started_s = time.monotonic()
        self._cared_s = 0.0
        # End of the log at the last attempt: one that failed or was refused is not repeated on the same events.
        self._attempted: dict[int, int] = {}
        self._retry = Retry("retrainer", LONGEST_S, self._show_waiting)
        self._now = now
        self._status = RetrainerStatus()
        self._changed_s = now()

    @property
    def status(self) -> RetrainerStatus:
        """What is being done."""
        return self._status

    @status.setter
    def status(self, status: RetrainerStatus) -> None:
        self._status, self._changed_s = status, self._now()

    @property
    def healthy(self) -> bool:
        """Whether the loop takes its turns, and a training under way moves on.

        Every turn sets the status, also one that finds a server away, and so does every message of the training
        process.
        """
        patience_s = TURN_STALLED_S if self._status.phase == IDLE else TRAINING_STALLED_S
        return self._now() - self._changed_s < patience_s

    def stop(self) -> None:
        """Ask `run` to return; a training under way is ended and leaves nothing."""
        self._stop.set()

    async def run(self) -> None:
        """Train whenever there is reason, until stopped; what is away is waited for."""
        while not self._stop.is_set():
            pause_s = POLL_S
            try:
                await unless_stopped(self._stop, self._step())
                self._retry.succeeded()
            except TransientError as error:
                pause_s = self._retry.failed(error)
            await unless_stopped(self._stop, asyncio.sleep(pause_s))
        await self._child.close()

    async def run_once(self) -> RetrainerStatus:
        """Train now, if there is anything new.

        Raises:
            MillraceError: The training failed; the champion stays.
        """
        try:
            await unless_stopped(self._stop, self._once())
        finally:
            await self._child.close()
        return self.status

    async def _once(self) -> None:
        await self._care()
        if await self._new_events() <= 0:
            self._done("Nothing new to learn.")
            return
        await self._train(ASKED_FOR)

    async def _step(self) -> None:
        """Manage serving, and train if there is a reason to."""
        if time.monotonic() - self._cared_s >= CARE_INTERVAL_S:
            self._cared_s = time.monotonic()
            await self._care()
        new_events = await self._new_events()
        requests = await pending_requests(self._stores.redis, self._stores.keys)
        why = await self._reason(new_events, bool(requests))
        if why is not None:
            await self._train_or_log(why)
        # Only after the training: one that ends early, with a server away or with this process, answers no request.
        await remove_requests(self._stores.redis, self._stores.keys, requests)

    async def _train_or_log(self, why: str) -> None:
        try:
            await self._train(why)
        except FatalError as error:
            # The champion goes on serving; more events or a mended setting may help the next attempt.
            _log.error("The training failed: %s", error)
            self._done(f"Failed: {error}")

    async def _reason(self, new_events: int, requested: bool) -> str | None:
        """Return why to train now, or None."""
        if requested:
            if new_events > 0:
                return ASKED_FOR
            self._done("Nothing new to learn.")
        untried = await asyncio.to_thread(self._log.count, self._attempted)
        if self.status.champion is None and untried >= MIN_FIRST_EVENTS:
            return "there is no model yet"
        if self._without_encoder is not None and self._without_encoder != self._encoder_tried_after:
            return NO_ENCODER
        return self._schedule.due(time.monotonic() - self._started_s, min(new_events, untried))

    async def _new_events(self) -> int:
        """Return how many events the champion has not learned."""
        champion = await self._service.champion()
        learned: Mapping[int, int] = champion.card.position if champion else {}
        count = await asyncio.to_thread(self._log.count, learned)
        self.status = replace(self.status, champion=champion.name if champion else None, new_events=count)
        quick = self._quick_first and champion is not None and champion.card.encoder_events == 0
        self._without_encoder = self.status.champion if quick else None
        return count

    async def _care(self) -> None:
        """Load the champion if it is not loaded, and unload versions out of use."""
        try:
            sentence = await self._service.restore()
        except FatalError as error:
            sentence = f"The champion cannot be loaded: {error}"
        if sentence:
            _log.info(sentence)
        await self._service.clean_up()

    async def _train(self, why: str) -> None:
        """Train a version, judge it, and let it serve if it may."""
        started_s = time.monotonic()
        champion = (await self._stores.serving.plan()).champion
        parent = self._service.known(champion)
        self.status = replace(self.status, phase="starting", fraction=0.0, why=why, waiting="")
        _log.info("Training (%s), starting from %s.", why, parent.name if parent else "nothing")
        name = await self._trained(parent.name if parent else None, self._refresh(parent, why))
        trained_s = time.monotonic()
        verdict = judge(self._service.registry.get(name).card.metrics)
        version = self._service.registry.judge(name, verdict.accepted, verdict.reason)
        seconds = {**version.card.seconds, "training_process": round(trained_s - started_s, 3)}
        if verdict.accepted:
            verdict = await self._serve(name, verdict, champion)
            seconds["load_and_switch"] = round(time.monotonic() - trained_s, 3)
        if not verdict.accepted:
            # What was learned is not what to go on from.
            await self._child.close()
        self.status = replace(self.status, last_version=name, last_accepted=verdict.accepted, seconds=seconds)
        self._done(f"{name}: {verdict.reason}")
        _log.info("%s %s: %s", name, "serves" if verdict.accepted else "is refused", verdict.reason)

    def _refresh(self, parent: Version | None, why: str) -> str:
        """Return what a training renews."""
        if self._quick_first and parent is None:
            return RANKER
        return ALL if why == ASKED_FOR or self._without_encoder is not None else DUE

    async def _serve(self, name: str, verdict: Verdict, replaced: str | None) -> Verdict:
        """Put an accepted version into service, unless a person has put another one there since its training began."""
        self._advance(Stages(), "load", 0.0)
        plan = await self._switch(name, replaced)
        self.status = replace(self.status, champion=plan.champion, waiting="")
        if plan.champion == name:
            self.status = replace(self.status, switched_at_ms=time.time_ns() // 1_000_000)
            return verdict
        kept = Verdict(
            False,
            f"Kept out of service: the champion is {plan.champion or 'none'} by now and no longer "
            f"{replaced or 'none'}, as when its training began; `millrace models promote {name}` lets it serve.",
        )
        self._service.registry.judge(name, kept.accepted, kept.reason)
        return kept

    async def _switch(self, name: str, replaced: str | None) -> ServingPlan:
        """Put a version into service, however long the model server or Redis needs to be there."""
        return await self._retry.until_done(lambda: self._service.switch(name, replaced))

    async def _trained(self, parent: str | None, refresh: str) -> str:
        """Train, and remember that these events were tried."""
        before = self._started_s, self._attempted
        try:
            self._started_s, self._attempted = time.monotonic(), await asyncio.to_thread(self._log.end)
            self._encoder_tried_after = self._without_encoder
            return await self._run_child(parent, refresh)
        except TransientError:
            # A server is away: they were not tried, and there is as much reason to train as before.
            self._started_s, self._attempted = before
            self._encoder_tried_after = None
            self.status = replace(self.status.with_phase(IDLE), why="")
            raise

    async def _run_child(self, parent: str | None, refresh: str) -> str:
        """Run the child, again if it is killed."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return await self._child.train(parent, refresh, partial(self._advance, Stages()))
            except TrainingEndedError as error:
                _log.warning("%s (attempt %d of %d)", error, attempt, MAX_ATTEMPTS)
        raise FatalError(f"The training was ended {MAX_ATTEMPTS} times; see its log for memory or time limits.")

    def _advance(self, stages: Stages, phase: str, share: float) -> None:
        self.status = self.status.with_phase(phase, stages.advance(phase, share))

    def _done(self, result: str) -> None:
        """Go back to waiting."""
        finished = self.status.trainings + (self.status.phase != IDLE)
        self.status = replace(self.status.with_phase(IDLE, 0.0), why="", last_result=result, trainings=finished)

    def _show_waiting(self, waiting_for: str | None) -> None:
        self.status = replace(self.status, waiting=waiting_for or "")
