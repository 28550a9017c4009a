"""Plots of an evaluation as SVG text."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from millrace.model.evaluation.report.figures import (
    CalibrationFigures,
    DiversityPoint,
    PrequentialReport,
    ShownCurve,
    SliceFigures,
)

_INK, _MUTED, _GRID, _PAPER = "#1f2933", "#66727f", "#e4e8ec", "#ffffff"
# Colours that people who cannot tell red from green can tell apart (Okabe, Ito 2008); the system comes first.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f7f7f", "#000000")
_STYLE: Mapping[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10.0,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "text.color": _INK,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "figure.facecolor": _PAPER,
    "svg.fonttype": "none",  # text stays text: small, searchable, read aloud
    "svg.hashsalt": "millrace",  # the same figures make the same file
}
_LEAST_EVENTS = 200
_BAR_HEIGHT_IN = 0.3
_WIDTH_IN = 9.0
_HALF_IN = 4.6


def quality_over_stream(report: PrequentialReport) -> str:
    """Plot the hit rate of stretches of the stream, and of everything up to there, of every system."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        blocks = report.over_time
        rows = np.array([block.last_row for block in blocks]) / 1000.0
        events = np.array([block.events for block in blocks], np.float64)
        for place, (name, colour) in enumerate(_colours(report).items()):
            rates = np.array([block.hit_rate_at_10[name] for block in blocks])
            cumulative = np.cumsum(rates * events) / np.cumsum(events)
            axes.plot(rows, rates, color=colour, linewidth=1.0, alpha=0.35, zorder=2 - 0.01 * place)
            label = f"{name} ({cumulative[-1]:.3f})"
            axes.plot(rows, cumulative, color=colour, linewidth=2.2, zorder=3 - 0.01 * place, label=label)
        axes.set(xlabel="events of the stream, thousands", ylabel="hit rate at 10", ylim=(0.0, None))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=4)

    return _svg(draw, _WIDTH_IN, 4.0)


def hit_rate_bars(groups: Mapping[str, SliceFigures], report: PrequentialReport, wide: bool) -> str:
    """Plot the hit rate of groups with intervals, and the baselines' as dots.

    Args:
        groups: By label.
        report: Has the names.
        wide: Takes the whole width of the page; else half of it.
    """
    shown = {label: one for label, one in groups.items() if one.events}

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        colours = _colours(report)
        places = np.arange(len(shown))[::-1]
        rates = np.array([one.hit_rate_at_10 for one in shown.values()])
        bounds = np.array([one.intervals["hit_rate_at_10"] for one in shown.values()])
        around = np.nan_to_num(np.abs(bounds.T - rates))
        axes.barh(places, rates, height=0.62, color=colours[report.system], alpha=0.75)
        axes.errorbar(rates, places, xerr=around, fmt="none", ecolor=_INK, elinewidth=1.2, capsize=2.5)
        for name in report.baselines:
            dots = [one.baselines[name] for one in shown.values()]
            axes.plot(dots, places, "o", color=colours[name], markeredgecolor=_PAPER, markersize=6.5)
        axes.set_yticks(places, [f"{label}  ({_count(one.events)})" for label, one in shown.items()])
        end = max(_axis_end(one) for one in shown.values())
        axes.set(xlabel="hit rate at 10", xlim=(0.0, end), ylim=(-0.6, len(shown) - 0.4))
        axes.grid(visible=False, axis="y")

    return _svg(draw, _WIDTH_IN if wide else _HALF_IN, 0.85 + _BAR_HEIGHT_IN * max(len(shown), 2))


def calibration_plot(bins: Sequence[CalibrationFigures]) -> str:
    """Plot mean given ratings over mean predicted ones; on the diagonal, a predicted 4 means 4."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        predicted, actual = [one.predicted for one in bins], [one.actual for one in bins]
        low, high = min(predicted + actual) - 0.1, max(predicted + actual) + 0.1
        axes.plot([low, high], [low, high], color=_MUTED, linewidth=1.0, linestyle="--", label="perfectly calibrated")
        axes.plot(predicted, actual, "o-", color=COLOURS[0], markersize=7, linewidth=1.8, label="tenths of the events")
        axes.set(xlabel="mean predicted rating, stars", ylabel="mean rating given, stars")
        axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
        axes.legend(loc="upper left")

    return _svg(draw, _HALF_IN, 4.4)


def shown_plot(curve: ShownCurve, report: PrequentialReport) -> str:
    """Plot how unevenly the catalogue is shown."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        colours = _colours(report)
        for name, shares in curve.shown.items():
            axes.plot(
                100.0 * np.array(curve.catalogue),
                100.0 * np.array(shares),
                linewidth=2.0,
                label=name,
                color=colours.get(name, _INK),
                linestyle="-" if name in colours else ":",
            )
        axes.set_xscale("symlog", linthresh=0.1)
        axes.set_xticks([0, 0.1, 1, 10, 100], ["0", "0.1", "1", "10", "100"])
        axes.set(
            xlabel="most shown items, % of the catalogue", ylabel="of all shown places, %", ylim=(0, 102), xlim=(0, 100)
        )
        axes.legend(loc="upper left", fontsize=9)

    return _svg(draw, _HALF_IN, 4.4)


def diversity_plot(points: Sequence[DiversityPoint]) -> str:
    """Plot what diversity costs in hit rate."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        rates = np.array([point.hit_rate_at_10 for point in points])
        around = np.abs(np.array([point.interval for point in points]).T - rates)
        diversities = [point.list_diversity for point in points]
        axes.errorbar(diversities, rates, yerr=around, fmt="o-", color=COLOURS[0], ecolor=_MUTED, capsize=2.5)
        for point in points:
            at = (point.list_diversity, point.hit_rate_at_10)
            axes.annotate(f"{point.setting:g}", at, textcoords="offset points", xytext=(7, 7), color=_MUTED)
        axes.set(xlabel="diversity of a list (mean 1 - Jaccard of genres)", ylabel="hit rate at 10")

    return _svg(draw, _WIDTH_IN, 3.6)


def time_plot(report: PrequentialReport) -> str:
    """Plot where the time goes."""
    phases = {name: value for name, value in report.ms_per_event.items() if name != "all" and value > 0.0}

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        places = np.arange(len(phases))[::-1]
        axes.barh(places, list(phases.values()), height=0.62, color=COLOURS[5])
        for place, value in zip(places, phases.values(), strict=True):
            axes.text(value, place, f"  {value:.3f} ms", va="center", color=_MUTED, fontsize=9)
        axes.set_yticks(places, [name.replace("_", " ") for name in phases])
        axes.set(xlabel="milliseconds an event (phases of a list: a list)", xlim=(0.0, 1.15 * max(phases.values())))
        axes.grid(visible=False, axis="y")

    return _svg(draw, _WIDTH_IN, 0.85 + _BAR_HEIGHT_IN * max(len(phases), 2)) if phases else ""


def _colours(report: PrequentialReport) -> dict[str, str]:
    names = [report.system, *report.baselines]
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}


def _axis_end(figures: SliceFigures) -> float:
    """Return how far the axis has to go for a group; the interval of a small one may leave the plot."""
    rates = [figures.hit_rate_at_10, *figures.baselines.values(), 0.01]
    wanted = figures.intervals["hit_rate_at_10"][1] if figures.events >= _LEAST_EVENTS else 0.0
    return 1.08 * max(*rates, wanted)


def _count(events: int) -> str:
    return f"{events:,}" if events < 10_000 else f"{events / 1000:.0f}k"


def _svg(draw: Callable[[Figure], None], width_in: float, height_in: float) -> str:
    """Return a plot as an SVG element that takes the width it is given."""
    with mpl.rc_context(dict(_STYLE)):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"|<svg (?=[^>]*viewBox)', r"<svg \1", text, count=1)
