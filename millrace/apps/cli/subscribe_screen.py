"""How one recommendation looks in a terminal."""

from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from millrace.apps.terminal import ID_WIDTH, printable, shorten_middle
from millrace.apps.titles import Titles
from millrace.consumers.subscriber import Received
from millrace.kernel.contracts import ReasonCode, RecommendedItem

_STARS = 5
_REASON_STYLE = {ReasonCode.TRENDING: "magenta", ReasonCode.NEW: "green", ReasonCode.EXPLORE: "yellow"}
_REASON_TEXT = {ReasonCode.TRENDING: "trending", ReasonCode.NEW: "new", ReasonCode.EXPLORE: "something different"}


def render(received: Received, titles: Titles, top: int) -> RenderableType:
    """Return a headline and the first `top` places of the list."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    # Rich narrows the columns that may wrap, titles and reasons; `_one_line` cuts their cells instead.
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column()
    for item in received.recommendation.items[:top]:
        table.add_row(
            str(item.rank),
            _one_line(_named(titles, item.item_id)),
            _stars(item),
            f"{item.score:.3f}",
            _one_line(_reason(item, titles)),
        )
    return Group(_headline(received), table, Text())


def _headline(received: Received) -> Text:
    recommendation = received.recommendation
    moment = datetime.fromtimestamp(recommendation.generated_ts_ms / 1000).astimezone()
    made_by = recommendation.model_version or "counts"
    if recommendation.arm not in (None, "champion"):
        made_by += f" ({recommendation.arm})"
    parts: list[tuple[str, str]] = [
        (f"user {_short(recommendation.user_id)}", "bold cyan"),
        (f"  {moment:%H:%M:%S}  ", "dim"),
        (f"{received.latency_ms} ms after event {_short(recommendation.event_id)}", ""),
        (f"  {made_by}", "dim"),
    ]
    if recommendation.fallback is not None:
        parts.append((f"  fallback: {recommendation.fallback}", "bold yellow"))
    return Text.assemble(*parts)


def _named(titles: Titles, item_id: str) -> Text:
    """Return an item's title, which any client may have written: no markup, control characters escaped."""
    title = titles.title(item_id)
    return Text(_short(item_id) if title == item_id else printable(title))


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _short(identifier: str) -> str:
    return shorten_middle(printable(identifier), ID_WIDTH)


def _stars(item: RecommendedItem) -> Text:
    if item.predicted_rating is None:
        return Text("-", style="dim")
    full = max(0, min(_STARS, round(item.predicted_rating)))
    return Text.assemble(("★" * full, "yellow"), ("☆" * (_STARS - full), "dim"), f" {item.predicted_rating:.1f}")


def _reason(item: RecommendedItem, titles: Titles) -> Text:
    if item.reason.code is ReasonCode.BECAUSE_YOU_RATED and item.reason.item_id is not None:
        return Text.assemble(("because of ", "dim"), _named(titles, item.reason.item_id))
    return Text(_REASON_TEXT.get(item.reason.code, item.reason.code), style=_REASON_STYLE.get(item.reason.code, ""))
