"""The tables a demo run ends with."""

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from millrace.apps.demo.report import ONLINE_COUNTS, DemoReport, LiveQuality, VersionReport

_BAR_WIDTH = 20
# The table of a narrower terminal has no bars.
_BARS_FROM_COLUMNS = 100


def print_summary(console: Console, report: DemoReport) -> None:
    """Print quality by version, what was delivered, and every problem in red."""
    console.print()
    console.print(_quality(report, bars=console.width >= _BARS_FROM_COLUMNS))
    console.print()
    console.print(_delivery(report))
    console.print()
    for problem in report.problems:
        console.print(problem, style="red", markup=False)
    if not report.problems:
        console.print("Nothing was lost, and no request failed.", style="green")


def _quality(report: DemoReport, bars: bool) -> RenderableType:
    table = Table(title="Live quality, graded on the stream", title_justify="left", box=None, header_style="bold")
    columns = ["lists by", "encoder", "graded", "HR@10", "NDCG@10", "popularity HR@10", *([""] if bars else [])]
    for name in columns:
        table.add_column(name, justify="left" if name in {"", "lists by"} else "right", no_wrap=bool(name))
    for version in report.model_versions:
        table.add_row(*_maker(version), *_row(version), *([_bar(version)] if bars else []))
    table.add_row("all", "", *_row(report), *([_bar(report)] if bars else []), style="bold")
    return table


def _maker(version: VersionReport) -> tuple[str, str]:
    if version.version == ONLINE_COUNTS:
        return "online counts", "-"
    return version.version, f"{version.encoder_events:,}" if version.encoder_events else "none yet"


def _row(quality: LiveQuality) -> tuple[str, ...]:
    rates = (quality.hit_rate_at_10, quality.ndcg_at_10, quality.popularity_hit_rate_at_10)
    return (f"{quality.events:,}", *("-" if rate is None else f"{rate:.4f}" for rate in rates))


def _bar(quality: LiveQuality) -> Text:
    """Draw popularity's share of the hit rate dim and the rest green; full width is the larger of the two."""
    ours, popular = quality.hit_rate_at_10 or 0.0, quality.popularity_hit_rate_at_10 or 0.0
    scale = _BAR_WIDTH / max(ours, popular, 1e-9)
    factor = f" {ours / popular:.1f}x" if popular and ours else ""
    common, more = round(min(ours, popular) * scale), round(abs(ours - popular) * scale)
    return Text.assemble(("█" * common, "dim"), ("█" * more, "green" if ours >= popular else "red"), factor)


def _delivery(report: DemoReport) -> RenderableType:
    latency = report.event_to_recommendation_ms
    reasons = (reason if count == 1 else f"{count} {reason}" for reason, count in report.dead_lettered.items())
    dead = ", ".join(reasons) or "none"
    limit = f" (limit {report.rate_limit_per_s:g})" if report.rate_limit_per_s else ""
    swap = "-" if report.swap_seconds is None else f"{report.swap_seconds:.2f} s from the switch to its first list"
    rows = {
        "published": f"{report.events_published:,} events",
        "processed": f"{report.events_processed:,} ({report.events_duplicate} repeated, without effect)",
        "logged": f"{report.events_logged:,}",
        "dead letters": f"{sum(report.dead_lettered.values())}: {dead}",
        "lists": f"{report.recommendations_published:,}",
        "without a model": f"{report.lists_before_first_version:,} before the first version served, "
        f"{report.fallback_lists:,} after",
        "failed requests": f"{report.failed_requests}",
        "event to list": f"p50 {latency.p50:.0f} ms, p95 {latency.p95:.0f} ms, p99 {latency.p99:.0f} ms",
        "rate": f"{report.events_per_s:,.0f} events/s{limit}",
        "last version": swap,
        "seconds": _seconds(report),
    }
    table = Table(title="Delivery", title_justify="left", box=None, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in rows.items():
        table.add_row(name, Text(value))
    return table


def _seconds(report: DemoReport) -> str:
    marks = {"until_stream": "first event", "until_first_version": "first version", "total": "end"}
    return ", ".join(f"{text} at {report.seconds[name]:.0f}" for name, text in marks.items() if name in report.seconds)
