"""What protocols end with that need no page of plots: figures for the report file, and tables to read."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from millrace.model.evaluation.outcomes import LISTED, UNRANKED
from millrace.model.evaluation.report.intervals import UserBootstrap

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;color:#1f2933;max-width:1000px;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}th,td{padding:.3rem .7rem;text-align:right;"
    "border-bottom:1px solid #e4e8ec}th:first-child,td:first-child{text-align:left}p{color:#52606d}"
    ".warning{color:#b00020}"
)


@dataclass(frozen=True, slots=True)
class FigureTable:
    """One table as text.

    Args:
        title: Above it.
        columns: Headers; the first column holds names.
        rows: As many cells as columns each.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class TablesReport:
    """Figures and how to read them; a `ProtocolReport`.

    Args:
        name: Of the protocol.
        figures: What `--report` writes.
        tables: What is shown.
        remarks: What has to be known to read them, one sentence each.
        problems: Reasons not to believe them.
    """

    name: str
    figures: dict[str, Any]
    tables: tuple[FigureTable, ...]
    remarks: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the figures."""
        return {"protocol": self.name, **self.figures, "remarks": list(self.remarks)}

    def show(self, console: Console) -> None:
        """Print the tables and what they mean."""
        for given in self.tables:
            table = Table(box=None, header_style="bold")
            for place, column in enumerate(given.columns):
                table.add_column(column, justify="right" if place else "left", no_wrap=True)
            for row in given.rows:
                table.add_row(*row)
            console.print()
            console.print(given.title, style="italic", highlight=False)
            console.print(table)
        console.print()
        for remark in self.remarks:
            console.print(remark, style="dim", highlight=False, markup=False)

    def page(self) -> str:
        """Return the tables as an HTML page without scripts."""
        title = f"Millrace, {self.name}"
        parts = [f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{escape(title)}</title>"]
        parts += [f"<style>{_STYLE}</style><h1>{escape(title)}</h1>"]
        parts += [f"<p class='warning'>{escape(problem)}</p>" for problem in self.problems]
        parts += [_html(table) for table in self.tables]
        parts += [f"<p>{escape(remark)}</p>" for remark in self.remarks]
        return "\n".join(parts) + "\n"


def _html(table: FigureTable) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return f"<h2>{escape(table.title)}</h2><table><tr>{head}</tr>{rows}</table>"


def ranking_figures(places: Sequence[int], bootstrap: UserBootstrap) -> dict[str, Any]:
    """Return hit rate, NDCG and MRR with 95 % intervals by user.

    Args:
        places: [E] place of each target from 0, UNRANKED where it was not ranked.
        bootstrap: Of the users of the same E events.
    """
    ranks = np.asarray(places, np.int64)
    columns = dict(zip(("hit_rate_at_10", "ndcg_at_10", "mrr"), _columns(ranks), strict=True))
    bounds = bootstrap.intervals(list(columns.values()), np.ones(len(ranks)))
    figures: dict[str, Any] = {name: float(values.mean()) for name, values in columns.items()}
    return figures | {"intervals": {name: tuple(one) for name, one in zip(columns, bounds, strict=True)}}


def _columns(ranks: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    ranked = ranks != UNRANKED
    hits = ranked & (ranks < LISTED)
    gains = np.where(hits, 1.0 / np.log2(np.maximum(ranks, 0) + 2.0), 0.0)
    return hits.astype(np.float64), gains, np.where(ranked, 1.0 / (np.maximum(ranks, 0) + 1.0), 0.0)


def ranking_row(name: str, figures: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of a system: hit rate and NDCG with intervals, MRR."""
    bounds = figures["intervals"]
    return (
        name,
        f"{figures['hit_rate_at_10']:.4f}",
        "{:.4f}-{:.4f}".format(*bounds["hit_rate_at_10"]),
        f"{figures['ndcg_at_10']:.4f}",
        "{:.4f}-{:.4f}".format(*bounds["ndcg_at_10"]),
        f"{figures['mrr']:.4f}",
    )


RANKING_COLUMNS = ("", "HR@10", "95 %", "NDCG@10", "95 %", "MRR")
