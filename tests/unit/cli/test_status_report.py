import io
import re

import pytest
from rich.console import Console

from millrace.apps.cli.status_screen import duration, render
from millrace.apps.status import Server, Status, component, components, lag_of, quality
from millrace.stores.redis.values import Watermark

NOW_MS = 1_700_000_000_000
BEAT = {"role": "worker", "instance": "host-1", "pid": 1, "since_ms": NOW_MS - 65_000, "at_ms": NOW_MS - 500}


def shown(status: Status, width: int = 110) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(render(status))
    return re.sub(r" +", " ", console.export_text())


def status_of(**changed: object) -> Status:
    parts: dict[str, object] = {
        "at_ms": NOW_MS,
        "servers": [Server(name="kafka", address="127.0.0.1:1", ok=False, detail="No broker answers")],
        "components": components([{**BEAT, "events_per_s": 412.4, "lag": 7}], NOW_MS),
        "lags": [lag_of("worker", {0: 10, 1: 4}, {0: Watermark(9, 7)})],
        "champion": "v000002",
        "challenger": "v000003",
        "challenger_share": 0.25,
        "versions": [
            quality("v000001", "champion", {"events": 100, "hits": 9, "popularity_hits": 4}, False),
            quality("v000002", "champion", {"events": 10, "hits": 1, "ndcg": 0.5}, True),
        ],
        "items": 9742,
        "counters": {"events_applied": 1234, "fallback:no_model": 3},
        "dead_letters": {"invalid_json": 2},
    }
    return Status.model_validate({**parts, **changed})


@pytest.mark.parametrize(
    ("heartbeat", "state", "detail"),
    [
        ({}, "ok", ""),
        ({"waiting_for": "Redis"}, "waiting", "Redis"),
        ({"waiting": True}, "waiting", ""),
        ({"waiting": False, "waiting_for": None, "lag": 9, "events_per_s": 3.0}, "ok", ""),
        ({"lag": 9, "events_per_s": 0.0}, "stalled", "records wait, none is handled"),
        ({"lag": 0, "events_per_s": 0.0}, "ok", ""),
        ({"healthy": False}, "stalled", "records wait, none is handled"),
        ({"at_ms": NOW_MS - 4_000}, "silent", "no word for 4 s"),
    ],
)
def test_a_process_is_judged_by_its_last_heartbeat(heartbeat: dict[str, object], state: str, detail: str) -> None:
    judged = component({**BEAT, **heartbeat}, NOW_MS)
    assert (judged.state, judged.detail) == (state, detail)
    assert judged.up_s == 65


def test_a_role_without_a_process_is_shown_as_missing_with_its_command() -> None:
    listed = components([BEAT, {**BEAT, "instance": "host-2"}, {**BEAT, "role": "custom"}], NOW_MS)
    assert [(each.role, each.state) for each in listed] == [
        ("worker", "ok"),
        ("worker", "ok"),
        ("statistics", "missing"),
        ("log-writer", "missing"),
        ("retrainer", "missing"),
        ("custom", "ok"),
    ]
    assert listed[2].detail == "start it: millrace statistics"


def test_lag_counts_from_the_last_fully_handled_record() -> None:
    lag = lag_of("worker", {0: 10, 1: 4, 2: 0}, {0: Watermark(9, 7)})
    assert lag.by_partition == {0: 2, 1: 4, 2: 0}
    assert lag.total == 6


def test_a_topic_made_anew_is_no_negative_lag() -> None:
    assert lag_of("worker", {0: 3}, {0: Watermark(9, 9)}).total == 0


def test_rates_are_per_graded_event() -> None:
    counts = {"events": 200.0, "hits": 20.0, "ndcg": 10.0, "popularity_hits": 5.0, "popularity_ndcg": 2.0}
    figures = quality("v1", "champion", counts, True)
    assert (figures.hit_rate_at_10, figures.ndcg_at_10) == (0.1, 0.05)
    assert (figures.popularity_hit_rate_at_10, figures.popularity_ndcg_at_10) == (0.025, 0.01)
    assert quality("v1", "champion", {}, True).hit_rate_at_10 is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.9, "59 s"), (65, "1 min 5 s"), (3_700, "1 h 1 min"), (90_000, "1 d 1 h")],
)
def test_a_time_span_has_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_screen_names_everything_a_person_asks_for() -> None:
    text = shown(status_of())
    for line in (
        "kafka 127.0.0.1:1 away No broker answers",
        "worker host-1 1 min 5 s 412 7 ok",
        "retrainer not running start it: millrace retrainer",
        "worker 2 4 6",
        "* v000002 champion 10 0.1000",
        " v000001 champion 100 0.0900 0.0400",
        "* v000003 challenger",
        "* serving; the challenger gets 25% of the users",
        "events applied 1,234",
        "lists without the model: no_model 3",
        "dead letters: invalid_json 2",
    ):
        assert line in text, text


def test_the_screen_says_what_is_not_known_yet() -> None:
    empty = status_of(lags=[], versions=[], champion=None, challenger=None, dead_letters={}, counters={})
    text = shown(empty)
    assert "The lag is unknown while Kafka is away." in text
    assert "No model version yet" in text
    assert "dead letters 0" in text


def test_lists_from_counts_are_named_so() -> None:
    only = [quality("fallback", "champion", {"events": 3}, False)]
    text = shown(status_of(versions=only, champion=None, challenger=None))
    assert "online counts champion" in text
    assert "No model version serves yet" in text


def test_the_many_addresses_of_a_cluster_leave_room_for_its_name_and_state() -> None:
    address = "redis+cluster://" + ",".join(f"127.0.0.1:{16_900 + node}" for node in range(6))
    text = shown(status_of(servers=[Server(name="redis", address=address, ok=True, detail="six nodes")]), width=80)
    assert re.search(r"^redis .* up six nodes", text, re.MULTILINE)
    assert address in re.sub(r"\s", "", text.split("redis ", 1)[1]).replace("upsixnodes", "")


def busy_status(partitions: int) -> Status:
    """Return an installation with long names and large numbers."""
    beat = {**BEAT, "since_ms": NOW_MS - 10**9, "events_per_s": 1234.5, "lag": 123_456}
    names = [f"millrace-worker-7d9f8b6c5d-{end}-1" for end in ("abcde", "x2x4q")]
    lag = lag_of("worker", dict.fromkeys(range(partitions), 12_346) | {3: 99_999}, {})
    counts = {"events": 1_234_567, "hits": 300_000, "ndcg": 9e4, "popularity_hits": 1e5, "popularity_ndcg": 6e4}
    return status_of(
        components=components([{**beat, "instance": name} for name in names], NOW_MS),
        lags=[lag],
        versions=[quality("v000002", "champion", counts, True), quality("fallback", "counts", counts, False)],
    )


def test_eighty_columns_hold_every_figure_and_both_ends_of_a_name() -> None:
    text = shown(busy_status(24), width=80)
    for part in (
        "millrace-…-abcde-1 11 d 13 h 1,234 123,456 ok",
        "millrace-…-x2x4q-1 11 d 13 h 1,234 123,456 ok",
        "records behind all partitions largest in partition",
        "worker 383,957 99,999 3",
        "model version arm graded hits@10 popular ndcg@10 popular",
        "* v000002 champion 1,234,567 0.2430 0.0810 0.0729 0.0486",
        " online counts counts 1,234,567 0.2430",
    ):
        assert part in text, text


def test_a_wide_terminal_shows_whole_names_and_every_partition() -> None:
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(render(busy_status(24), 300))
    text = re.sub(r" +", " ", console.export_text())
    assert "millrace-worker-7d9f8b6c5d-abcde-1" in text
    assert re.search(r"worker( 12,346){3} 99,999( 12,346){20} 383,957", text)


def test_values_from_outside_cannot_steer_the_terminal() -> None:
    status = status_of(
        servers=[Server(name="kafka", address="a\x1b[2J", ok=True, detail="topic\x1b]0;title\x07")],
        components=components([{**BEAT, "instance": "host\x1b[31m", "waiting_for": "it\r"}], NOW_MS),
        counters={"mine\x1b[0m": 1},
        dead_letters={"reason\x9b": 1},
    )
    text = shown(status)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    for part in (r"a\x1b[2J", r"topic\x1b]0;title\x07", r"host\x1b[31m", r"it\r", r"mine\x1b[0m", r"reason\x9b"):
        assert part in text
