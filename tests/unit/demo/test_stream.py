"""What the demo makes of the lists it receives."""

import io
from typing import Any

import orjson
from rich.console import Console

from millrace.apps.demo.follow import Follower
from millrace.apps.demo.stream import StreamMonitor
from millrace.apps.measuring.screen import Screen
from millrace.kernel.contracts import ActivityEvent
from millrace.producers.replay import Answer


def monitor(said: io.StringIO) -> StreamMonitor:
    screen = Screen(Console(file=said))
    nothing: Any = None
    return StreamMonitor(screen, nothing, Follower("u", {}), nothing, iter(()), broken_every=10, total=100)


def answer(version: str | None, received_ms: int, generated_ms: int) -> Answer:
    event = ActivityEvent(event_id="e", user_id="other", item_id="i", type="rating", value=4.0, ts_ms=1)
    served = {
        "model_version": version,
        "fallback": None if version else "no_model",
        "received_ts_ms": received_ms,
        "generated_ts_ms": generated_ms,
        "items": [],
    }
    return Answer(event, orjson.dumps(served), generated_ms - received_ms)


def test_lists_without_a_model_are_told_apart_by_whether_a_version_served() -> None:
    watching = monitor(io.StringIO())
    watching.on_answer(answer(None, 10, 20))
    watching.on_answer(answer("v1", 100, 130))
    # Received before the first version made a list, so of an earlier batch.
    watching.on_answer(answer(None, 120, 140))
    watching.on_answer(answer(None, 131, 150))
    assert (watching.lists_before_first_version, watching.fallback_lists) == (2, 1)
    assert watching.first_list_ms == {"v1": 130}


def test_each_version_is_announced_once() -> None:
    said = io.StringIO()
    watching = monitor(said)
    for version in ("v1", "v1", "v2", "v1"):
        watching.on_answer(answer(version, 100, 130))
    assert said.getvalue().splitlines() == [
        "Version v1 serves after 0 events.",
        "Version v2 has taken over from v1 after 0 events.",
    ]
