"""The tables a bench run ends with."""

from rich.console import Console
from rich.table import Table

from millrace.load_tests.bench.report import BenchReport


def print_summary(console: Console, report: BenchReport) -> None:
    """Print throughput, cost per event, latency and memory."""
    for table in (_throughput(report), _event_log(report), _cost(report), _latency(report), _memory(report)):
        console.print()
        console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left")
    return table


def _throughput(report: BenchReport) -> Table:
    table = _table(f"Throughput ({report.stack} stack, {report.cores} cores)", "", "events", "events/s", "of bare")
    bare, pipeline = report.bare_faust, report.pipeline
    table.add_row("bare Faust agent", f"{bare.events:,}", f"{bare.events_per_s:,.0f}", "1.00")
    table.add_row("full pipeline", f"{pipeline.events:,}", f"{pipeline.events_per_s:,.0f}", f"{report.ratio:.2f}")
    for role, rate in pipeline.by_role_per_s.items():
        table.add_row(f"  {role.replace('_', ' ')}", "", f"{rate:,.0f}", f"{rate / bare.events_per_s:.2f}", style="dim")
    return table


def _event_log(report: BenchReport) -> Table:
    log = report.event_log
    table = _table(f"Event log ({log.adapter}), one process", "", "events/s")
    table.add_row("written", f"{log.written_per_s:,.0f}")
    table.add_row("read in order", f"{log.read_per_s:,.0f}")
    return table


def _cost(report: BenchReport) -> Table:
    table = _table("CPU of the full pipeline", "process", "ms per event")
    costs = report.pipeline.cpu_ms_per_event
    for name, cost in sorted(costs.items(), key=lambda pair: -pair[1]):
        table.add_row(name, f"{cost:.3f}")
    table.add_row("all", f"{sum(costs.values()):.3f}", style="bold")
    return table


def _latency(report: BenchReport) -> Table:
    table = _table("Event to recommendation, ms", "events/s", "reached", "p50", "p95", "p99", "unanswered")
    for row in report.latency:
        latency = row.event_to_recommendation_ms
        percentiles = (f"{value:.0f}" for value in (latency.p50, latency.p95, latency.p99))
        table.add_row(f"{row.rate_per_s:g}", f"{row.reached_per_s:.0f}", *percentiles, str(row.unanswered))
    return table


def _memory(report: BenchReport) -> Table:
    table = _table("Worker memory", "events", "MiB")
    for sample in report.memory:
        table.add_row(f"{sample.events:,}", f"{sample.worker_mib:.0f}")
    return table
