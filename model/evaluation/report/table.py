"""The tables an evaluation ends with."""

from collections.abc import Mapping

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from millrace.model.evaluation.report.figures import Bounds, PrequentialReport, SliceFigures, SystemFigures

_BAR_WIDTH = 24
_BARS_FROM_WIDTH = 108
# More would not fit beside the groups.
_BASELINES_BESIDE = 3
_US_PHASES = {"statistics": "statistics update", "candidates": "candidates and features"}
_MS_PHASES = {"scoring": "scoring", "selection": "rules and diversity", "all": "everything, learning included"}


def show_report(report: PrequentialReport, console: Console) -> None:
    """Print quality, slices, ratings and times; 80 columns are enough."""
    console.print()
    for part in (_quality(report, console.width), _slices(report), _others(report)):
        console.print(part)
        console.print()
    for gap in report.largest_gaps.values():
        console.print(gap.sentence, highlight=False)


def _quality(report: PrequentialReport, width: int) -> RenderableType:
    title = f"{report.events_graded:,} graded events, 95 % intervals by user"
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for name in ("", "HR@10", " ", "NDCG@10", " ", "MRR", "coverage"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    with_bars = width >= _BARS_FROM_WIDTH
    best = max(*(one.hit_rate_at_10 for one in report.systems.values()), 1e-9)
    for name, figures in report.systems.items():
        ours = figures is report
        bar = [Text("█" * round(_BAR_WIDTH * figures.hit_rate_at_10 / best), "green" if ours else "dim")]
        table.add_row(name, *_figures(figures), *(bar if with_bars else []), style="bold" if ours else "")
    return table


def _figures(figures: SystemFigures) -> tuple[str, ...]:
    return (
        f"{figures.hit_rate_at_10:.4f}",
        _bounds(figures.intervals["hit_rate_at_10"]),
        f"{figures.ndcg_at_10:.4f}",
        _bounds(figures.intervals["ndcg_at_10"]),
        f"{figures.mrr:.4f}",
        f"{figures.coverage:.1%}",
    )


def _slices(report: PrequentialReport) -> RenderableType:
    baselines = list(report.baselines)[:_BASELINES_BESIDE]
    table = Table(title="Hit rate at 10 by part", title_justify="left", box=None, header_style="bold")
    for name in ("", "", "events", report.system, " ", *baselines):
        # Spaces let a long name wrap.
        table.add_column(name.replace("_", " "), justify="right" if name else "left")
    cuts: dict[str, Mapping[str, SliceFigures]] = {
        "user's events so far": report.by_history_length,
        "new items": {"first of their item": report.cold_items},
        "user's events in all": report.by_user_activity,
        "gender": report.by_gender,
        "age": report.by_age,
    }
    for by, groups in cuts.items():
        filled = {label: one for label, one in groups.items() if one.events}
        for place, (label, one) in enumerate(filled.items()):
            rates = (f"{one.baselines[name]:.3f}" for name in baselines)
            interval = _bounds(one.intervals["hit_rate_at_10"], digits=3)
            table.add_row(
                by if place == 0 else "", label, f"{one.events:,}", f"{one.hit_rate_at_10:.3f}", interval, *rates
            )
    return table


def _others(report: PrequentialReport) -> RenderableType:
    table = Table(title="Lists, ratings, time", title_justify="left", box=None, show_header=False)
    ms = report.ms_per_event
    rows = {
        "novelty": f"{report.novelty:.2f} bits",
        "diversity": f"{report.list_diversity:.3f} in a list, Gini of the shown items {report.concentration:.3f}",
        **_ratings(report),
        **{name: f"{1000.0 * ms[phase]:.0f} us of CPU an event" for phase, name in _US_PHASES.items() if phase in ms},
        **{name: f"{ms[phase]:.2f} ms an event" for phase, name in _MS_PHASES.items() if phase in ms},
        "seconds": f"{report.seconds:.0f}",
    }
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def _ratings(report: PrequentialReport) -> dict[str, str]:
    ratings = report.predicted_rating
    if ratings is None:
        return {}
    parts = {"predicted ratings": ratings, "the last tenth": ratings.last_tenth}
    return {
        name: f"RMSE {one.rmse:.4f} {_bounds(one.intervals['rmse'])}, MAE {one.mae:.4f}; user+item bias "
        f"{one.user_item_bias.rmse:.4f} ({-one.rmse_below_user_item_bias:+.1%}), mean {one.global_mean.rmse:.4f}"
        for name, one in parts.items()
        if one is not None
    }


def _bounds(bounds: Bounds, digits: int = 4) -> str:
    """Return `.1312-.1378`: rates are below 1, and so short that a table fits."""
    low, high = (f"{bound:.{digits}f}".removeprefix("0") for bound in bounds)
    return f"{low}-{high}"
