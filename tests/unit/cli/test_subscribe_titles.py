"""`millrace subscribe` shows ids where titles cannot be had."""

import pytest
import redis

from millrace.apps.cli.titles import ASK_AGAIN_AFTER_S, OptionalTitles, open_titles
from millrace.kernel.contracts import Recommendation
from millrace.kernel.settings import Settings

LIST = Recommendation(
    recommendation_id="r",
    user_id="7",
    event_id="e",
    source_partition=0,
    source_offset=0,
    event_ts_ms=1,
    received_ts_ms=1,
    generated_ts_ms=1,
    model_version=None,
    arm="champion",
    items=(),
)


class ComingAndGoing:
    """Titles from a server that is away for a while."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    def learn(self, recommendation: Recommendation) -> None:
        self.asked += 1
        if self.away:
            raise redis.ConnectionError("Connection refused.")

    def title(self, item_id: str) -> str:
        return f"Title of {item_id}"


def test_a_server_that_goes_away_takes_nothing_with_it() -> None:
    now_s, told = 100.0, []
    titles = ComingAndGoing()
    optional = OptionalTitles(titles, told.append, lambda: now_s)
    optional.learn(LIST)
    titles.away = True
    for _ in range(3):
        optional.learn(LIST)
    assert told == ["New titles cannot be read (Connection refused); items without one are shown by their ids."]
    assert titles.asked == 2, "lists waited for a server that is away"
    assert optional.title("318") == "Title of 318"

    titles.away = False
    now_s += ASK_AGAIN_AFTER_S
    optional.learn(LIST)
    optional.learn(LIST)
    assert titles.asked == 4
    titles.away = True
    optional.learn(LIST)
    assert len(told) == 2


@pytest.mark.parametrize("url", ["nonsense", "redis://127.0.0.1:port/0", "redis+cluster://127.0.0.1:port"])
def test_an_address_that_is_none_is_said_and_ids_are_shown(url: str) -> None:
    told: list[str] = []
    titles = open_titles(Settings(redis_url=url), told.append)
    titles.learn(LIST)
    assert titles.title("318") == "318"
    (sentence,) = told
    assert sentence.startswith("No titles can be read (")
    assert sentence.endswith("; items are shown by their ids. Look at MILLRACE_REDIS_URL.")
