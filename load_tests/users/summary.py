"""What a load test says at its end, below Locust's own table."""

from pathlib import Path

from rich.console import Console

from millrace.load_tests.users.figures import LoadReport, Row


def print_summary(console: Console, report: LoadReport, page: Path) -> None:
    """Print the times that matter, what became of the events, and where the HTML report is."""

    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    console.print()
    if report.lists is not None:
        say(f"Event to recommendation: {_times(report.lists)}", "bold")
    if report.confirmations is not None:
        say(f"Until Kafka had confirmed: {_times(report.confirmations)}")
    say(
        f"{report.events:,} events, {report.answered:,} lists in time, {report.unmatched:,} events without; "
        f"{report.repeated:,} repeated lists, {report.late:,} late ones, {report.fallback:,} without the model."
    )
    for remark in report.remarks:
        say(remark, "yellow")
    for problem in report.problems:
        say(problem, "red")
    if page.exists():
        say(f"HTML report: {page.absolute()}")


def _times(row: Row) -> str:
    times = row.percentiles_ms
    return (
        f"p50 {times.p50:.0f} ms, p95 {times.p95:.0f} ms, p99 {times.p99:.0f} ms, slowest {row.max_ms:.0f} ms "
        f"({row.requests:,} at {row.per_s:.1f}/s)"
    )
