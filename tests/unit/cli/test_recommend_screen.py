import io
import re

import pytest
from rich.console import Console

from millrace.apps.cli.recommend import render, stars
from millrace.apps.profile import GenreTaste, HistoryEntry, ListEntry, ShownList, UserProfile, genre_tastes
from millrace.kernel.contracts import CatalogueItem

LIST = ShownList(
    recommendation_id="0-1-e",
    model_version="v000002",
    arm="champion",
    fallback=None,
    generated_ts_ms=1_700_000_000_000,
    items=[
        ListEntry(rank=1, item_id="6", title="Heat (1995)", predicted_rating=4.24, reason="trending"),
        ListEntry(rank=2, item_id="7", title="[bold]Odd[/bold]", reason="because_you_rated", because_title="Ronin [x]"),
        ListEntry(rank=3, item_id="8", title="Brazil", reason="explore", rated_since=True),
    ],
)
PROFILE = UserProfile(
    user_id="7",
    events=1200,
    items_touched=1100,
    mean_value=3.5,
    last_ts_ms=1_700_000_000_000,
    genres=[GenreTaste(genre="Drama", share=0.5, mean_value=4.0)],
    history=[HistoryEntry(item_id="6", title="Ronin [x]", value=4.5, ts_ms=1_700_000_000_000)],
    for_new_users=False,
    shown=LIST,
)


def shown(profile: UserProfile) -> str:
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(render(profile))
    return re.sub(r" +", " ", console.export_text())


def test_profile_history_and_list_are_shown_with_reasons() -> None:
    text = shown(PROFILE)
    for part in (
        "User 7 1,200 events on 1,100 items, mean 3.50, last 2023-11-14",
        "Mostly Drama 50% (4.0)",
        "★★★★½ Ronin [x]",
        "The list last shown v000002 (champion), 2023-11-14 22:13:20 UTC",
        "1. Heat (1995) 4.2 ★ trending",
        "2. [bold]Odd[/bold] because of Ronin [x]",
        "3. Brazil rated since",
    ):
        assert part in text, text


def test_a_user_without_events_gets_the_list_of_new_users() -> None:
    new = UserProfile(
        user_id="new",
        events=0,
        items_touched=0,
        mean_value=None,
        last_ts_ms=None,
        genres=[],
        history=[],
        for_new_users=True,
        shown=LIST.model_copy(update={"model_version": None, "fallback": "no_model"}),
    )
    text = shown(new)
    assert "User new no events yet" in text
    assert "A new user gets this list now from the online counts, no model, 2023-11-14" in text
    assert "No list yet" in shown(new.model_copy(update={"shown": None}))


@pytest.mark.parametrize(("value", "text"), [(5.0, "★★★★★"), (4.5, "★★★★½"), (0.5, "½"), (3.3, "★★★½"), (1.0, "★")])
def test_values_become_stars(value: float, text: str) -> None:
    assert stars(value) == text


def test_genres_come_with_their_share_and_mean() -> None:
    items = [CatalogueItem(item_id="1", genres=("Drama", "War")), CatalogueItem(item_id="2", genres=("Drama",))]
    assert genre_tastes(items, [4.0, 2.0]) == [
        GenreTaste(genre="Drama", share=1.0, mean_value=3.0),
        GenreTaste(genre="War", share=0.5, mean_value=4.0),
    ]
    assert genre_tastes([], []) == []
