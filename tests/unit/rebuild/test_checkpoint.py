"""What a rebuild takes up again, and what it starts anew."""

import sqlite3
from pathlib import Path

import pytest

from millrace.kernel.contracts import ActivityEvent
from millrace.kernel.settings import Settings
from millrace.stores.event_log import LoggedEvent
from millrace.streams.rebuild.checkpoint import Checkpoint, checkpoint_path
from millrace.streams.replay import LogReplay

ENDS = {0: 1}
INDEXES = {"a": 1, "b": 2}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def checkpoint(settings: Settings) -> Checkpoint:
    """A user has acted on two items."""
    made = Checkpoint(settings, 0)
    replay = LogReplay(settings.event_policy, settings.neighbours_per_item)
    for offset, item_id in enumerate(INDEXES):
        event = ActivityEvent(
            event_id=item_id, user_id="u", item_id=item_id, type="rating", value=4.0, ts_ms=1_000 + offset
        )
        replay.apply(LoggedEvent(0, offset, 0, event), INDEXES[item_id])
    made.touch(["u"])
    made.save(replay, INDEXES)
    return made


def test_a_saved_replay_comes_back(checkpoint: Checkpoint) -> None:
    loaded = checkpoint.load(ENDS)
    assert loaded is not None
    replay, indexes = loaded
    assert (replay.events, replay.position, indexes) == (2, {0: 1}, INDEXES)
    assert replay.users["u"].items.tolist() == [2, 1]
    assert replay.statistics.clock == 2


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE pages SET page = substr(page, 1, 40)",
        "UPDATE chunks SET popularity = x'ff'",
        "UPDATE users SET history = '[[-1, 4.0, 1]]'",
        "DELETE FROM facts WHERE name = 'position'",
    ],
)
def test_what_cannot_be_read_is_started_anew(checkpoint: Checkpoint, settings: Settings, damage: str) -> None:
    with sqlite3.connect(checkpoint_path(settings)) as connection:
        connection.execute(damage)
    assert checkpoint.load(ENDS) is None
