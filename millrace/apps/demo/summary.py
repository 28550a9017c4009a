"""The table a demo run ends with."""

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from millrace.apps.demo.report import DemoReport, LiveQuality

_BAR_WIDTH = 20


def print_summary(console: Console, report: DemoReport) -> None:
    """Print what the run was worth, and every problem in red."""
    console.print()
    console.print(_quality(report))
    console.print()
    console.print(_delivery(report))
    for problem in report.problems:
        console.print(problem, style="red", markup=False)
    if not report.problems:
        console.print("Nothing was lost, and no request failed.", style="green")


def _quality(report: DemoReport) -> RenderableType:
    table = Table(title="Live quality, graded on the stream", title_justify="left", box=None, header_style="bold")
    for name in ("", "graded", "HR@10", "NDCG@10", "popularity", ""):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    table.add_row("all", *_row(report), _bar(report), style="bold")
    for version in report.model_versions:
        table.add_row(version.version, *_row(version), _bar(version))
    return table


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
    dead = ", ".join(f"{count} {reason}" for reason, count in report.dead_lettered.items()) or "none"
    limit = f", held to {report.rate_limit_per_s:g}" if report.rate_limit_per_s else ""
    swap = "-" if report.swap_seconds is None else f"{report.swap_seconds:.2f} s from switching to its first list"
    rows = {
        "published": f"{report.events_published:,} events",
        "processed": f"{report.events_processed:,} ({report.events_duplicate} repeated, without effect)",
        "logged": f"{report.events_logged:,}",
        "dead letters": f"{sum(report.dead_lettered.values())}: {dead}",
        "lists published": f"{report.recommendations_published:,} ({report.fallback_lists:,} without the model)",
        "failed requests": f"{report.failed_requests}",
        "event to list": f"p50 {latency.p50:.0f} ms, p95 {latency.p95:.0f} ms, p99 {latency.p99:.0f} ms",
        "rate": f"{report.events_per_s:,.0f} events/s{limit}",
        "new version": swap,
        "seconds": ", ".join(f"{name} {seconds:.0f}" for name, seconds in report.seconds.items()),
    }
    table = Table(title="Delivery", title_justify="left", box=None, show_header=False)
    for name, value in rows.items():
        table.add_row(Text(name, style="dim"), value)
    return Group(table)
