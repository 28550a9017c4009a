"""The users of `millrace load-test`, for Locust: `locust -f load_tests/users/locustfile.py` works as well.

Each user acts, waits for the list that answers, looks at it for a while and acts again. Locust's table has one line
for the broker's confirmations (type `publish`) and one for the lists (type `recommendation`): from the moment the user
acted to the moment the list was read from its topic. An event without a list before the deadline is a failure.
"""

import logging
import random
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import gevent
from gevent.pool import Group
from locust import User, events, stats, task
from locust.env import Environment
from locust.stats import StatsEntry

from millrace.apps.measuring.percentiles import Percentiles
from millrace.kernel.errors import MillraceError
from millrace.kernel.settings import load_settings
from millrace.load_tests.users.behaviour import Act, Behaviour
from millrace.load_tests.users.client import ExchangeClient
from millrace.load_tests.users.figures import A_LIST, AN_EVENT, PUBLISH, RECOMMENDATION, Row, Snapshot
from millrace.load_tests.users.messages import Kind, Reply, Send
from millrace.load_tests.users.people import Casting
from millrace.producers.movielens import load_movielens

_log = logging.getLogger(__name__)

_SNAPSHOT_EVERY_S = 1.0
# Locust's own widths are made for GET and long addresses.
stats.STATS_TYPE_WIDTH, stats.STATS_NAME_WIDTH = len(RECOMMENDATION) + 1, 40


class Stage:
    """What all users of this process share; set up once Locust has read its options."""

    def __init__(self, environment: Environment) -> None:
        options: Any = environment.parsed_options
        settings = load_settings()
        data = load_movielens(Path(options.data), options.seed)
        item_ids = [item.item_id for item in data.items]
        types = sorted(settings.event_policy.implied_values)
        self.casting = Casting(data.events(options.start_at, 1.0), item_ids, types, options.seed)
        self.exchange = ExchangeClient(options.deadline_s, lambda why: _give_up(environment, why))
        self.exchange.wait_ready()
        self.underway = Group()
        # Locust's pages show it; what counts are the settings.
        environment.host = f"kafka://{settings.kafka_bootstrap}"
        self._environment = environment
        self._figures = Path(options.figures) if options.figures else None

    def write_snapshot(self) -> None:
        """Tell whoever started this how it goes."""
        if self._figures is None:
            return
        entries, runner = self._environment.stats.entries, self._environment.runner
        Snapshot(
            users=runner.target_user_count if runner else 0,
            rows=tuple(_row(entries[key]) for key in sorted(entries)),
            generator_late_s=self.exchange.latest_s,
            counts=self.exchange.counts,
        ).write(self._figures)

    def keep_writing(self) -> None:
        """Write a snapshot every second until killed."""
        while True:
            gevent.sleep(_SNAPSHOT_EVERY_S)
            self.write_snapshot()


_STAGE: dict[Environment, Stage] = {}


def _options(parser: Any, **_: Any) -> None:
    parser.add_argument("--data", default="data/ml-latest-small", help="MovieLens folder.", include_in_web_ui=False)
    parser.add_argument("--start-at", type=float, default=0.0, help="Leave out so much of it.", include_in_web_ui=False)
    parser.add_argument("--deadline-s", type=float, default=10.0, help="Longest wait.", include_in_web_ui=False)
    parser.add_argument("--seed", type=int, default=0, help="Makes people repeat themselves.", include_in_web_ui=False)
    parser.add_argument("--figures", default="", help="Write the counts here.", include_in_web_ui=False)
    parser.add_argument("--think-min-s", type=float, default=0.5, help="Shortest look at a list, seconds")
    parser.add_argument("--think-max-s", type=float, default=1.5, help="Longest look at a list, seconds")


def _set_up(environment: Environment, **_: Any) -> None:
    try:
        stage = _STAGE[environment] = Stage(environment)
        gevent.spawn(stage.keep_writing)
    except MillraceError as error:
        # The last line of the log is what `millrace load-test` shows.
        sys.exit(str(error))


def _settle(environment: Environment, **_: Any) -> None:
    """Before anything is reported: let the last events have their lists, or their deadline."""
    if environment in _STAGE:
        _STAGE[environment].underway.join()


def _tear_down(environment: Environment, **_: Any) -> None:
    stage = _STAGE.pop(environment, None)
    if stage is None:
        return
    if environment.runner is not None:
        # After a signal users are still at work: each ends what it is in the middle of.
        environment.runner.stop()
    stage.exchange.close()
    stage.write_snapshot()


class _Person(User):
    abstract = True

    def on_start(self) -> None:
        """Find out who this is."""
        self._shown: tuple[str, ...] = ()
        self._stage = _STAGE[self.environment]
        self.user_id, self._behaviour = self.cast(self._stage.casting)

    def cast(self, casting: Casting) -> tuple[str, Behaviour]:
        """Return a user id and a behaviour."""
        raise NotImplementedError

    def wait_time(self) -> float:
        """Return how long to look at a list, seconds."""
        options = self.environment.parsed_options
        return random.uniform(options.think_min_s, max(options.think_min_s, options.think_max_s))

    @task
    def act(self) -> None:
        """Do something and wait for the list that answers it."""
        act = self._behaviour.next(self._shown)
        # On a greenlet of its own: Locust may end the user meanwhile, but what was published must be accounted for.
        self._shown = self._stage.underway.spawn(self._exchange, act).get() or self._shown

    def _exchange(self, act: Act) -> tuple[str, ...]:
        """Publish an event, report what became of it, and return the list."""
        event_id, sent_s = uuid.uuid4().hex, time.monotonic()
        flight = self._stage.exchange.send(Send(event_id, self.user_id, act.item_id, act.type, act.value, sent_s))
        confirmation: Reply = flight.confirmed.get()
        self._report(PUBLISH, AN_EVENT, sent_s, confirmation)
        if confirmation.kind is Kind.REFUSED:
            return ()
        answer: Reply = flight.answered.get()
        self._report(RECOMMENDATION, A_LIST, sent_s, answer)
        return answer.items

    def _report(self, what: str, name: str, sent_s: float, reply: Reply) -> None:
        failed = reply.kind in {Kind.REFUSED, Kind.UNMATCHED}
        response_ms = 1000 * (reply.at_s - sent_s)
        if what == PUBLISH and not failed:
            # A line of its own: in the sum, and so in the charts, it would halve the times that users wait.
            self.environment.stats.get(name, what).log(response_ms, 0)
            return
        self.environment.events.request.fire(
            request_type=what,
            name=name,
            response_time=response_ms,
            response_length=reply.size_bytes,
            exception=_Unanswered(reply.detail) if failed else None,
            context={"user_id": self.user_id},
        )


class Rater(_Person):
    """Gives the ratings that a person of the data set gave."""

    weight = 2

    def cast(self, casting: Casting) -> tuple[str, Behaviour]:
        """Return a rater."""
        return casting.rater()


class Browser(_Person):
    """Acts on the lists it is shown."""

    weight = 1

    def cast(self, casting: Casting) -> tuple[str, Behaviour]:
        """Return a browser."""
        return casting.browser()


class _Unanswered(Exception):  # noqa: N818 - its text is what Locust's table of failures shows
    pass


def _give_up(environment: Environment, why: str) -> None:
    """End the test with a sentence: without its Kafka connections it measures nothing."""
    _log.error("%s", why)
    environment.process_exit_code = 1
    if environment.runner is not None:
        gevent.spawn(environment.runner.quit)


def _row(entry: StatsEntry) -> Row:
    p50, p95, p99 = (float(entry.get_response_time_percentile(share)) for share in (0.5, 0.95, 0.99))
    return Row(
        type=entry.method,
        name=entry.name,
        requests=entry.num_requests,
        failures=entry.num_failures,
        per_s=round(entry.total_rps, 2),
        mean_ms=round(entry.avg_response_time, 1),
        max_ms=round(entry.max_response_time, 1),
        percentiles_ms=Percentiles(p50=p50, p95=p95, p99=p99),
    )


events.init_command_line_parser.add_listener(_options)
events.init.add_listener(_set_up)
events.test_stop.add_listener(_settle)
events.quitting.add_listener(_tear_down)
