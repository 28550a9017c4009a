"""One trial: a fault at a random moment under load, recovery, and a comparison of all state."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from millrace.apps.status import component
from millrace.consumers.retrainer.requests import request_retraining
from millrace.kernel.errors import TransientError
from millrace.kernel.settings import Settings
from millrace.load_tests.recovery.checks import Checker, Findings
from millrace.load_tests.recovery.faults import IN_TRAINING, KINDS
from millrace.load_tests.recovery.ledger import Ledger
from millrace.load_tests.recovery.load import SteadyLoad
from millrace.load_tests.recovery.reader import AnswersReader
from millrace.load_tests.recovery.system import SystemUnderTest
from millrace.load_tests.waiting import wait_until, wait_until_nothing

# Generous: on a slow machine a trial is slow, not failed.
DEADLINE_S = 300.0
# A slower confirmation is reported as the cause of the wait.
_SLOW_S = 2.0
# A fault begins within this time after the load has started.
_WITHIN_S = 1.0
_IDLE = "idle"
_NOT_TRAINING = frozenset({_IDLE, "load", "switch"})
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The result of one trial.

    Args:
        kinds: Faults injected at the same moment.
        fresh_list_s: Seconds from the fault until every partition had a list for an event sent after it.
        whole_s: Seconds from the fault until everything was caught up and every process healthy.
        findings: What the comparison found.
        last_awaited: What recovered last.
    """

    kinds: tuple[str, ...]
    fresh_list_s: float
    whole_s: float
    findings: Findings
    last_awaited: str = ""


class Trials:
    """A running system under load, ready for one fault after another; a context manager.

    Args:
        home: Folder for logs and data; emptied.
        seed: Decides the load, the victims and the moments.
        per_s: Records per second.
        say: Called with a sentence about each step.
    """

    def __init__(self, home: Path, seed: int, per_s: float, say: Callable[[str], None] = lambda _: None) -> None:
        self._system = SystemUnderTest(home)
        self.seed = seed
        self._per_s = per_s
        self._say = say
        self._chance = random.Random(seed)
        self._ledger = Ledger()
        self._parts: list[Any] = []
        self._load: SteadyLoad
        self._checker: Checker

    def __enter__(self) -> Self:
        """Start everything and wait until the first model serves.

        Raises:
            MillraceError: Something does not start.
        """
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._parts:
            self._parts.pop().__exit__(None, None, None)

    @property
    def settings(self) -> Settings:
        """Settings with the addresses of the servers themselves."""
        return self._system.stack.settings

    @property
    def restarts(self) -> Sequence[str]:
        """A sentence for each process that supervision has restarted."""
        return self._system.restarts

    def run(self, kinds: tuple[str, ...]) -> TrialResult:
        """Inject these faults at the same moment and wait for recovery.

        Raises:
            UntriedError: One cannot be made here.
            MillraceError: The system does not recover.
        """
        faults = [KINDS[kind]() for kind in kinds]
        self._load.resume()
        if IN_TRAINING.intersection(kinds):
            self._start_training()
        time.sleep(self._chance.uniform(0.0, _WITHIN_S))
        for fault in faults:
            fault.begin(self._system, self._chance)
        started_s = self._ledger.watch()
        try:
            time.sleep(max(fault.lasts_s for fault in faults))
        finally:
            for fault in faults:
                fault.end(self._system)
        fresh_list_s = self._await_fresh_lists()
        last_awaited = "; ".join(filter(None, (self._await_health(), self._catch_up())))
        findings = self._checker.look()
        return TrialResult(kinds, fresh_list_s, time.monotonic() - started_s, findings, last_awaited)

    def look(self) -> Findings:
        """Pause the load, wait until everything is caught up, and compare.

        Raises:
            TransientError: It does not catch up.
        """
        self._catch_up()
        return self._checker.look()

    def _catch_up(self) -> str:
        """Pause the load and wait until everything is caught up; returns what caught up last."""
        confirmed_s = self._load.pause()
        behind = wait_until_nothing(self._checker.behind, "everything is caught up", DEADLINE_S)
        if confirmed_s < _SLOW_S:
            return behind
        return f"Kafka took {confirmed_s:.0f} s more to confirm the load's last records"

    def verify(self) -> list[str]:
        """Recompute all state from the event log, as `millrace verify` does, and return each difference."""
        return self._checker.verify()

    def _start(self) -> None:
        self._say("Starting three brokers, Cassandra, Redis and Triton.")
        self._parts.append(self._system.__enter__())
        settings = self.settings
        self._load = SteadyLoad(settings, self._ledger, self._per_s, self.seed)
        self._parts.append(_Closing(self._load))
        self._parts.append(_Closing(AnswersReader(settings, self._ledger)))
        self._checker = Checker(settings, self._ledger).__enter__()
        self._parts.append(self._checker)
        self._say("Starting two workers, keeper, log writer and retrainer.")
        items = self._load.publish_items()
        self._system.start_roles()
        wait_until(lambda: self._items() >= items, f"{items} items are known", DEADLINE_S, _LOOK_S)
        self._load.resume()
        self._say("Training the first model.")
        wait_until(self._serves, "the first model serves", DEADLINE_S, _LOOK_S)
        self._await_health()
        findings = self.look()
        if not findings.clean:
            raise TransientError(f"Something is wrong before any fault: {findings}.")

    def _items(self) -> int:
        self._system.absent()
        return self._checker.run(self._checker.stores.catalogue.count())

    def _serves(self) -> bool:
        self._system.absent()
        return self._checker.run(self._checker.stores.serving.plan()).champion is not None

    def _start_training(self) -> None:
        request_retraining(self.settings)

        def training() -> bool:
            phase = self._heartbeats().get(self._system.child("retrainer").pid, {}).get("phase", _IDLE)
            return phase not in _NOT_TRAINING

        wait_until(training, "a training is under way", DEADLINE_S, _LOOK_S)

    def _await_fresh_lists(self) -> float:
        partitions = self.settings.topic_partitions
        wait_until(
            lambda: len(self._ledger.fresh()) == partitions,
            f"each of {partitions} partitions has a new list",
            DEADLINE_S,
        )
        return max(self._ledger.fresh().values())

    def _await_health(self) -> str:
        """Wait until every server answers and every role is healthy; returns what became healthy last."""
        return wait_until_nothing(self._unwell, "every process is healthy", DEADLINE_S)

    def _unwell(self) -> str:
        absent = self._system.absent()
        if absent:
            return f"{', '.join(absent)} away"
        heartbeats = self._heartbeats()
        now_ms = time.time_ns() // 1_000_000
        for name, child in self._system.roles.items():
            heartbeat = heartbeats.get(child.pid)
            if heartbeat is None:
                return f"{name} has not been heard of"
            state = component(heartbeat, now_ms)
            if state.state != "ok":
                return f"{name} is {state.state}: {state.detail}"
        return ""

    def _heartbeats(self) -> dict[int, Mapping[str, Any]]:
        """Return the newest heartbeat of each process by its process id; empty while Redis is away."""
        try:
            beats = self._checker.run(self._checker.stores.serving.heartbeats())
        except TransientError:
            return {}
        return {int(str(beat["pid"])): beat for beat in beats}


class _Closing:
    """Closes something at the end of the context."""

    def __init__(self, part: SteadyLoad | AnswersReader) -> None:
        self._part = part

    def __exit__(self, *_: object) -> None:
        self._part.close()
