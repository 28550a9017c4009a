"""The figures of a load test: what Locust measured, what the exchange counted, and the verdict."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from millrace.apps.measuring.percentiles import Percentiles
from millrace.load_tests.users.matching import Counts

# Types and names of the lines in Locust's table.
PUBLISH, RECOMMENDATION = "publish", "recommendation"
AN_EVENT, A_LIST = "event", "fresh list"
# A load generator this late measures itself.
_LATE_MS = 250.0


class Row(BaseModel):
    """One line of Locust's table; milliseconds."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="`publish`: until the broker confirmed; `recommendation`: until the list was read.")
    name: str
    requests: int
    failures: int
    per_s: float
    mean_ms: float
    max_ms: float
    percentiles_ms: Percentiles


def row_of(rows: Iterable[Row], kind: str) -> Row | None:
    """Return the line of a type, None when there is none yet."""
    return next((row for row in rows if row.type == kind), None)


class LoadReport(BaseModel):
    """What a load test ends with."""

    model_config = ConfigDict(frozen=True)

    users: int
    run_time_s: float
    events: int = Field(description="Events that users handed to Kafka.")
    answered: int = Field(description="Events whose list came in time.")
    unmatched: int = Field(description="Events without a list before the deadline.")
    misdirected: int = Field(description="Events whose list was made for another user.")
    refused: int = Field(description="Events that Kafka did not confirm.")
    open: int = Field(description="Events whose end is unknown: 0 unless the test was killed.")
    fallback: int = Field(description="Lists that the model did not score.")
    repeated: int = Field(description="Further copies of lists, as at-least-once delivery allows.")
    late: int = Field(description="Lists that came after the deadline.")
    generator_late_ms: float = Field(description="How late the load generator took in a reply at most.")
    rows: tuple[Row, ...] = Field(description="Locust's table.")

    @property
    def lists(self) -> Row | None:
        """The line of the lists; None when not one event was published."""
        return row_of(self.rows, RECOMMENDATION)

    @property
    def confirmations(self) -> Row | None:
        """The line of the broker's confirmations."""
        return row_of(self.rows, PUBLISH)

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each thing that makes the test fail."""
        found = []
        if not self.events:
            found.append("Not one event was published.")
        if self.events and not self.answered:
            found.append("Not one list came: does a worker run? `millrace status` tells.")
        for number, what in (
            (self.refused, "were not confirmed by Kafka"),
            (self.unmatched, "had no list before the deadline"),
            (self.misdirected, "were answered with another user's list"),
            (self.open, "ended without a verdict"),
        ):
            if number:
                found.append(f"{number:,} of {self.events:,} events {what}.")
        return tuple(found)

    @property
    def remarks(self) -> tuple[str, ...]:
        """One sentence for each thing that a reader of the figures should know."""
        said = []
        if self.fallback:
            said.append(f"{self.fallback:,} lists came from the online counts: no model scored them.")
        if self.generator_late_ms > _LATE_MS:
            said.append(
                f"The load generator itself was up to {self.generator_late_ms:.0f} ms late in taking in replies: "
                "it was short of processor time, and so sent less than it might have."
            )
        return tuple(said)


class Snapshot(BaseModel):
    """What only Locust's process knows; written to a file every second, and at the end."""

    model_config = ConfigDict(frozen=True)

    users: int
    rows: tuple[Row, ...]
    generator_late_s: float
    counts: Counts | None = Field(default=None, description="Known at the end.")

    def write(self, path: Path) -> None:
        """Replace the file: who reads it meanwhile finds the one before."""
        new = path.with_suffix(".new")
        new.write_text(self.model_dump_json())
        new.replace(path)


def read_snapshot(path: Path) -> Snapshot | None:
    """Return the newest snapshot, None before the first."""
    try:
        return Snapshot.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None


def report_of(snapshot: Snapshot, run_time_s: float) -> LoadReport:
    """Put the report together.

    Args:
        snapshot: The last one.
        run_time_s: How long the run took.
    """
    counts = snapshot.counts or Counts()
    return LoadReport(
        users=snapshot.users,
        run_time_s=round(run_time_s, 1),
        events=counts.sent,
        answered=counts.answered,
        unmatched=counts.unmatched,
        misdirected=counts.misdirected,
        refused=counts.refused,
        open=counts.open,
        fallback=counts.fallback,
        repeated=counts.repeated,
        late=counts.late,
        generator_late_ms=round(1000 * snapshot.generator_late_s, 1),
        rows=snapshot.rows,
    )
