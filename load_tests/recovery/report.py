"""The table of all trials, as text for a terminal and as Markdown between two markers of a page."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from millrace.kernel.errors import ConfigurationError
from millrace.load_tests.recovery.trial import TrialResult

BEGIN, END = "<!-- recovery table: begin -->", "<!-- recovery table: end -->"
_COLUMNS = (
    "fault",
    "tries",
    "lost",
    "repeated lists",
    "other ids",
    "dead letters wrong",
    "state differences",
    "s to next list, median",
    "max",
    "s to all well, median",
    "max",
)


@dataclass(frozen=True, slots=True)
class Row:
    """All trials of one kind."""

    kind: str
    trials: Sequence[TrialResult]

    def cells(self) -> list[str]:
        """Return the row's cells in the order of the columns."""
        findings = [trial.findings for trial in self.trials]
        fresh = [trial.fresh_list_s for trial in self.trials]
        whole = [trial.whole_s for trial in self.trials]
        sums = (
            sum(each.lost for each in findings),
            sum(each.repeated_lists for each in findings),
            sum(each.contradictions for each in findings),
            sum(each.letters for each in findings),
            sum(len(each.differences) for each in findings),
        )
        seconds = (statistics.median(fresh), max(fresh), statistics.median(whole), max(whole))
        return [self.kind, str(len(self.trials)), *map(str, sums), *(f"{each:.1f}" for each in seconds)]


def rows_of(results: Iterable[TrialResult]) -> list[Row]:
    """Group trials by kind; one of several faults counts for each of them."""
    by_kind: dict[str, list[TrialResult]] = {}
    for result in results:
        for kind in result.kinds:
            by_kind.setdefault(kind, []).append(result)
    return [Row(kind, trials) for kind, trials in sorted(by_kind.items())]


def markdown(rows: Sequence[Row], notes: Sequence[str]) -> str:
    """Return the table with sentences below it."""
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|---" + "|---:" * (len(_COLUMNS) - 1) + "|"]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    return "\n".join([*lines, "", *notes])


def write_report(path: Path, text: str) -> None:
    """Put the text between the markers of a page; a page that is not there is made.

    Raises:
        ConfigurationError: The page has no markers, or cannot be written.
    """
    try:
        page = path.read_text() if path.exists() else f"{BEGIN}\n{END}\n"
        before, begin, rest = page.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise ConfigurationError(f"{path} has no lines {BEGIN} and {END} to put the table between.")
        path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from None
