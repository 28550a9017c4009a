"""The report as one HTML file: no script, nothing loaded from elsewhere."""

from collections.abc import Mapping
from html import escape
from string import Template

from millrace.model.evaluation.report import plots
from millrace.model.evaluation.report.figures import PrequentialReport, RatingComparison, SliceFigures

# Plots of more groups get the whole width.
_NARROW_GROUPS = 10
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light; }
body { font: 16px/1.55 system-ui, "Segoe UI", "Liberation Sans", "DejaVu Sans", sans-serif; color: #1f2933;
  background: #f5f7f9; margin: 0; }
main { max-width: 1080px; margin: 0 auto; padding: 2.2rem 1.4rem 4rem; }
h1 { font-size: 1.75rem; margin: 0 0 .2rem; } h2 { font-size: 1.2rem; margin: 0 0 .3rem; }
p.lead { color: #52606d; margin: 0 0 1.4rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(175px, 1fr)); gap: .9rem;
  margin-bottom: 1.1rem; }
.card, section { background: #fff; border: 1px solid #e4e8ec; border-radius: 10px; }
.card { padding: .8rem 1rem; } .card b { display: block; font-size: 1.65rem; line-height: 1.25; }
.card span { color: #52606d; font-size: .85rem; display: block; }
section { padding: 1.1rem 1.3rem; margin-bottom: 1.1rem; }
section svg { width: 100%; height: auto; display: block; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); gap: 1.1rem; }
.caption { color: #52606d; font-size: .92rem; margin: 0 0 .7rem; }
.key { font-size: .88rem; color: #52606d; margin: 0 0 .4rem; } .key i { display: inline-block; width: .75em;
  height: .75em; border-radius: 50%; margin: 0 .3em 0 .9em; vertical-align: baseline; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; font-variant-numeric: tabular-nums; }
th, td { padding: .32rem .55rem; text-align: right; border-bottom: 1px solid #e4e8ec; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } tr.ours td { font-weight: 600; }
.scroll { overflow-x: auto; }
.warning { background: #fdecea; border: 1px solid #d64545; border-radius: 10px; padding: .8rem 1rem; margin: 0 0 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: 0; font-size: .92rem; }
dt { color: #52606d; } dd { margin: 0; overflow-wrap: anywhere; }
</style>
</head>
<body><main>
<h1>$title</h1>
<p class="lead">$lead</p>
$warnings
<div class="cards">$cards</div>
$sections
</main></body>
</html>
""")


def html_page(report: PrequentialReport) -> str:
    """Return the page of an evaluation."""
    sections = [
        _section("All systems, the same events", _systems_caption(report), _table(report)),
        _section(
            "Quality over the stream",
            "Hit rate at 10: faint lines are stretches of the graded part, strong lines everything up to there.",
            plots.quality_over_stream(report),
        ),
        *_slice_sections(report),
        _side_by_side(report),
        _diversity(report),
        _section("Where the time goes", _time_caption(report), plots.time_plot(report)),
        _section("Data and protocol", "", _facts(report)),
    ]
    warnings = "".join(f'<p class="warning">{escape(finding)}</p>' for finding in report.leaks)
    return _PAGE.substitute(
        title="Prequential evaluation",
        lead=f"{report.events_graded:,} events graded before they were learned: does the user's top 10 of the whole "
        "catalogue, without items already rated, hold the next item? Intervals are 95 %, bootstrap by user.",
        warnings=warnings,
        cards=_cards(report),
        sections="".join(sections),
    )


def _cards(report: PrequentialReport) -> str:
    cold, ratings = report.cold_items, report.predicted_rating
    cards = [
        ("hit rate at 10", f"{report.hit_rate_at_10:.4f}", _interval(report.intervals["hit_rate_at_10"])),
        ("NDCG at 10", f"{report.ndcg_at_10:.4f}", _interval(report.intervals["ndcg_at_10"])),
        ("hit rate, first-ever items", _figure(cold.hit_rate_at_10), f"{cold.share:.1%} of the events"),
        ("of the catalogue shown", f"{report.coverage:.0%}", f"diversity {report.list_diversity:.2f}"),
    ]
    if ratings is not None:
        below = f"user+item bias {ratings.user_item_bias.rmse:.4f}"
        cards.append(("RMSE of predicted ratings", f"{ratings.rmse:.4f}", below))
    return "".join(
        f'<div class="card"><span>{escape(name)}</span><b>{value}</b><span>{escape(note)}</span></div>'
        for name, value, note in cards
    )


def _table(report: PrequentialReport) -> str:
    head = ("", "HR@10", "95 %", "NDCG@10", "95 %", "MRR", "coverage", "novelty", "diversity", "seconds")
    rows = []
    for name, one in report.systems.items():
        cells = (
            escape(name),
            f"{one.hit_rate_at_10:.4f}",
            _interval(one.intervals["hit_rate_at_10"]),
            f"{one.ndcg_at_10:.4f}",
            _interval(one.intervals["ndcg_at_10"]),
            f"{one.mrr:.4f}",
            f"{one.coverage:.1%}",
            f"{one.novelty:.2f}",
            f"{one.list_diversity:.3f}",
            f"{one.seconds:.0f}",
        )
        kind = ' class="ours"' if one is report else ""
        rows.append(f"<tr{kind}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    header = "".join(f"<th>{name}</th>" for name in head)
    return f'<div class="scroll"><table><tr>{header}</tr>{"".join(rows)}</table></div>'


def _systems_caption(report: PrequentialReport) -> str:
    ahead = [
        f"{name} by {one.hit_rate_behind:.4f} ({_interval(one.hit_rate_behind_interval)})"
        for name, one in report.baselines.items()
    ]
    return f"In hit rate, {report.system} is ahead of {', '.join(ahead)}." if ahead else ""


def _slice_sections(report: PrequentialReport) -> list[str]:
    """Return the cuts two by two, and the genres, of which there are many, by themselves."""
    pairs = [
        [
            _slice(report, "By the user's events so far", report.by_history_length, "How much history there was."),
            _slice(report, "First events of users", report.first_events_of_users, "The first list has no history."),
        ],
        [
            _slice(report, "By time since the user's last event", report.by_gap, "In a session, and after a break."),
            _slice(report, "By activity", report.by_user_activity, "Fifths of the users, by graded events in all."),
        ],
        [_slice(report, "By gender", report.by_gender), _slice(report, "By age", report.by_age)],
        [_slice(report, "By genre of the item", report.by_genre, "An item with several genres counts in each.")],
    ]
    return [f'<div class="pair">{"".join(pair)}</div>' for pair in pairs if any(pair)]


def _slice(report: PrequentialReport, title: str, groups: Mapping[str, SliceFigures], caption: str = "") -> str:
    if not groups:
        return ""
    gap = next((gap for gap in report.largest_gaps.values() if {gap.lowest, gap.highest} <= set(groups)), None)
    text = f"{caption} {gap.sentence if gap else ''} Events in brackets."
    wide = len(groups) > _NARROW_GROUPS
    return _section(title, text, _key(report) + plots.hit_rate_bars(groups, report, wide))


def _side_by_side(report: PrequentialReport) -> str:
    coverage = _section(
        "What is shown of the catalogue",
        f"Share of all shown places that goes to the most shown items (Gini {report.concentration:.2f}); the dotted "
        "line is what people rated.",
        plots.shown_plot(report.shown_curve, report),
    )
    if report.predicted_rating is None:
        return coverage
    ratings = _section(
        "Predicted ratings",
        _ratings_caption(report.predicted_rating, report.predicted_rating.last_tenth),
        plots.calibration_plot(report.predicted_rating.calibration),
    )
    return f'<div class="pair">{ratings}{coverage}</div>'


def _ratings_caption(whole: RatingComparison, last: RatingComparison | None) -> str:
    parts = {"All graded events": whole, "The last tenth of the stream": last}
    return " ".join(
        f"{name}: RMSE {one.rmse:.4f} ({_interval(one.intervals['rmse'])}), {one.rmse_below_user_item_bias:.1%} below "
        f"user+item bias, {one.user_item_bias.rmse:.4f}."
        for name, one in parts.items()
        if one is not None
    )


def _diversity(report: PrequentialReport) -> str:
    if not report.diversity_curve:
        return ""
    return _section(
        "What diversity costs",
        "One point for each weight of dissimilarity in the list rules, with 95 % intervals.",
        plots.diversity_plot(report.diversity_curve),
    )


def _time_caption(report: PrequentialReport) -> str:
    return f"{report.seconds:.0f} s in all, {report.ms_per_event.get('all', 0.0):.2f} ms an event, learning included."


def _facts(report: PrequentialReport) -> str:
    data = {name.replace("_", " "): _value(value) for name, value in report.data.model_dump().items()}
    protocol = {name.replace("_", " "): _value(value) for name, value in report.protocol.items()}
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in (data | protocol).items())
    return f"<dl>{rows}</dl>"


def _value(value: object) -> str:
    if value is None:
        return "default"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _key(report: PrequentialReport) -> str:
    names = [report.system, *report.baselines]
    marks = (
        f'<i style="background:{colour}"></i>{escape(name)}' for name, colour in zip(names, plots.COLOURS, strict=False)
    )
    return f'<p class="key">{"".join(marks)}</p>'


def _section(title: str, caption: str, body: str) -> str:
    text = f'<p class="caption">{escape(caption.strip())}</p>' if caption.strip() else ""
    return f"<section><h2>{escape(title)}</h2>{text}{body}</section>"


def _interval(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:.4f} to {bounds[1]:.4f}"


def _figure(value: float) -> str:
    return "-" if value != value else f"{value:.4f}"
