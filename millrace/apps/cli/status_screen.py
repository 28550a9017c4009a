"""How `millrace status` looks in a terminal of 80 columns or more."""

from datetime import UTC, datetime
from typing import Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from millrace.apps.status import ONLINE_COUNTS, Component, Lag, Status, VersionQuality
from millrace.apps.terminal import plural, printable, shorten_middle

_STATE_STYLES = {"ok": "green", "waiting": "yellow", "stalled": "yellow", "silent": "red", "missing": "red"}
_STATE_WORDS = {"missing": "not running"}
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
NARROW_COLUMNS = 80
# What the other columns of the components' table take, with room for a sentence of two lines about the state.
_COMPONENT_COLUMNS = 62
_COLUMN_GAP = 2
_LAG_TITLE = "records behind, by partition"
# Counters with a line of their own, in words.
_COUNTER_WORDS = {
    "events_applied": "events applied",
    "duplicates": "repeated events ignored",
    "recommendations": "lists published",
    "failed_requests": "failed scoring requests",
}
# Counters with a reason in their name, likewise.
_COUNTER_FAMILIES = {
    "fallback:": "lists without the model: ",
    "left_out:": "events of a backlog without a list: ",
}


def render(status: Status, columns: int = NARROW_COLUMNS) -> RenderableType:
    """Return the whole screen.

    Args:
        status: What to show.
        columns: Width of the terminal, at least 80; long names are shortened to fit.
    """
    at = datetime.fromtimestamp(status.at_ms / 1000, UTC)
    return Group(
        Text.assemble(("Millrace", "bold"), f"  {at:%Y-%m-%d %H:%M:%S} UTC  {plural(status.items, 'item')}\n"),
        _servers(status),
        Text(),
        _components(status, columns),
        Text(),
        _lags(status, columns),
        Text(),
        _versions(status),
        Text(),
        _counters(status),
    )


# Columns whose text may take several lines: a cluster has many addresses, and a state may say what to do.
_FOLDED = ("address", "state")


def _table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in right else "left"
        table.add_column(column, justify=justify, no_wrap=column not in _FOLDED, overflow="fold")
    return table


def _servers(status: Status) -> Table:
    table = _table("server", "address", "state")
    for server in status.servers:
        word = Text("up", "green") if server.ok else Text("away", "red")
        word.append(f"  {printable(server.detail)}", "default")
        table.add_row(server.name, printable(server.address), word)
    return table


def _components(status: Status, columns: int) -> Table:
    process_columns = max(columns, NARROW_COLUMNS) - _COMPONENT_COLUMNS
    table = _table("role", "process", "up", "events/s", "lag", "state", right=("up", "events/s", "lag"))
    for each in status.components:
        table.add_row(
            printable(each.role),
            shorten_middle(printable(each.instance or ""), process_columns),
            "" if each.up_s is None else duration(each.up_s),
            "" if each.events_per_s is None else f"{each.events_per_s:,.0f}",
            "" if each.lag is None else f"{each.lag:,}",
            _state(each),
        )
    return table


def _state(component: Component) -> Text:
    word = Text(_STATE_WORDS.get(component.state, component.state), _STATE_STYLES[component.state])
    return word.append(f"  {printable(component.detail)}", "default") if component.detail else word


def duration(seconds: float) -> str:
    """Return a time span in its two largest units, e.g. `3 h 5 min`."""
    whole = int(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S} h"


def _lags(status: Status, columns: int) -> RenderableType:
    if not status.lags:
        return Text("The lag is unknown while Kafka is away.", "yellow")
    partitions = status.lags[0].by_partition
    cell_columns = max(len(f"{lag.total:,}") for lag in status.lags) + _COLUMN_GAP
    fits = len(_LAG_TITLE) + (len(partitions) + 1) * cell_columns <= columns
    return _lags_by_partition(status.lags) if fits else _largest_lags(status.lags)


def _lags_by_partition(lags: list[Lag]) -> Table:
    partitions = [str(partition) for partition in lags[0].by_partition]
    table = _table(_LAG_TITLE, *partitions, "all", right=(*partitions, "all"))
    for lag in lags:
        table.add_row(lag.role, *(f"{behind:,}" for behind in lag.by_partition.values()), f"{lag.total:,}")
    return table


def _largest_lags(lags: list[Lag]) -> Table:
    figures = ("all partitions", "largest", "in partition")
    table = _table("records behind", *figures, right=figures)
    for lag in lags:
        partition, largest = max(lag.by_partition.items(), key=lambda each: each[1])
        table.add_row(lag.role, f"{lag.total:,}", f"{largest:,}", str(partition) if largest else "-")
    return table


_VERSIONS_LEGEND = "graded: events that graded a list; popular: the same of the popularity list"


def _versions(status: Status) -> RenderableType:
    if status.champion is None and not status.versions:
        return Text("No model version yet: lists come from the online counts. Make one: millrace train log")
    figures = ("graded", "hits@10", "popular", "ndcg@10", "popular ")
    table = _table("model version", "arm", *figures, right=figures)
    for each in status.versions:
        table.add_row(*_version_cells(each), style="" if each.serving else "dim")
    graded = {(each.version, each.arm) for each in status.versions}
    for version, arm in ((status.champion, "champion"), (status.challenger, "challenger")):
        if version is not None and (version, arm) not in graded:
            table.add_row(f"* {printable(version)}", arm, "0")
    return Group(table, Text(_serving_note(status), "dim"), Text(_VERSIONS_LEGEND, "dim"))


def _serving_note(status: Status) -> str:
    if status.champion is None:
        return "No model version serves yet: lists come from the online counts."
    if status.challenger is None:
        return "* serving"
    return f"* serving; the challenger gets {status.challenger_share:.0%} of the users"


def _version_cells(quality: VersionQuality) -> tuple[str, ...]:
    rates = (
        quality.hit_rate_at_10,
        quality.popularity_hit_rate_at_10,
        quality.ndcg_at_10,
        quality.popularity_ndcg_at_10,
    )
    version = "online counts" if quality.version == ONLINE_COUNTS else printable(quality.version)
    name = f"* {version}" if quality.serving else f"  {version}"
    return (
        name,
        printable(quality.arm),
        f"{quality.events:,}",
        *("-" if rate is None else f"{rate:.4f}" for rate in rates),
    )


def _counter_word(name: str) -> str:
    for beginning, word in _COUNTER_FAMILIES.items():
        if name.startswith(beginning):
            return word + name.removeprefix(beginning)
    return name


def _counters(status: Status) -> RenderableType:
    table = _table("since the start", "count", right=("count",))
    for name, word in _COUNTER_WORDS.items():
        table.add_row(word, f"{status.counters.get(name, 0):,}")
    for name, count in status.counters.items():
        if name not in _COUNTER_WORDS:
            table.add_row(printable(_counter_word(name)), f"{count:,}")
    for reason, count in status.dead_letters.items():
        table.add_row(Text(f"dead letters: {printable(reason)}", "yellow"), f"{count:,}")
    if not status.dead_letters:
        table.add_row("dead letters", "0")
    return table
