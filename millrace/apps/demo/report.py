"""The figures a demo run ends with, as people read them and as scripts do (`--report FILE`)."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from millrace.producers.replay import percentiles_ms


class Percentiles(BaseModel):
    """Milliseconds."""

    model_config = ConfigDict(frozen=True)

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values_ms: Sequence[int]) -> "Percentiles":
        """Return the nearest-rank percentiles; all 0 without any value."""
        return cls.model_validate(percentiles_ms(values_ms) or {"p50": 0.0, "p95": 0.0, "p99": 0.0})


class LiveQuality(BaseModel):
    """Graded lists: each event grades the list its user was last shown before it."""

    model_config = ConfigDict(frozen=True)

    events: int = 0
    hit_rate_at_10: float | None = None
    ndcg_at_10: float | None = None
    popularity_hit_rate_at_10: float | None = None
    popularity_ndcg_at_10: float | None = None

    @classmethod
    def of(cls, counts: Sequence[Mapping[str, float]]) -> "LiveQuality":
        """Return the rates over the sum of several live counts, as `ServingStore.live` returns them."""
        total = {name: sum(count.get(name, 0.0) for count in counts) for name in _LIVE_FIELDS}
        events = int(total["events"])
        if not events:
            return cls()
        return cls(
            events=events,
            hit_rate_at_10=total["hits"] / events,
            ndcg_at_10=total["ndcg"] / events,
            popularity_hit_rate_at_10=total["popularity_hits"] / events,
            popularity_ndcg_at_10=total["popularity_ndcg"] / events,
        )


_LIVE_FIELDS = ("events", "hits", "ndcg", "popularity_hits", "popularity_ndcg")


class VersionReport(LiveQuality):
    """What one model version did while it served; `events` counts the events that graded its lists."""

    version: str
    arm: str
    events_served: int = Field(description="Lists this version scored.")


class DemoReport(LiveQuality):
    """Everything measured in one run of the demo; the live quality fields cover all versions together."""

    events_published: int = Field(description="Records sent to the events topic, broken ones and repeats included.")
    events_processed: int = Field(description="Events applied by workers, recognised repeats included.")
    events_duplicate: int = Field(description="Of these, repeats that changed nothing.")
    events_logged: int = Field(description="Streamed events in the event log.")
    recommendations_published: int
    dead_lettered: dict[str, int] = Field(description="By reason.")
    fallback_lists: int = Field(description="Lists made from online counts because the model did not answer.")
    failed_requests: int = Field(description="Scoring requests without an answer.")
    unanswered_events: int = Field(description="Replayed events whose list was not seen before the deadline.")
    rate_limit_per_s: float | None = Field(description="Rate the replay was held to; below saturation.")
    events_per_s: float = Field(description="Mean rate of the replay.")
    event_to_recommendation_ms: Percentiles = Field(
        description="Record timestamp of the event to record timestamp of its list."
    )
    model_versions: tuple[VersionReport, ...]
    swap_seconds: float | None = Field(
        description="From switching the serving pointer to the new version's first list."
    )
    seconds: dict[str, float] = Field(description="By phase.")

    @property
    def problems(self) -> tuple[str, ...]:
        """What is not as it should be, one sentence each; empty after a good run."""
        dead = sum(self.dead_lettered.values())
        checks = {
            f"{self.events_published} events were published and {dead} dead-lettered, but {self.events_processed} "
            "were processed.": self.events_processed != self.events_published - dead,
            f"{self.events_processed} events were processed, but {self.events_logged} logged.": self.events_logged
            != self.events_processed,
            f"{self.failed_requests} scoring requests failed.": self.failed_requests > 0,
            f"{self.unanswered_events} events had no list before the deadline.": self.unanswered_events > 0,
            "No retrained version took over.": len({v.version for v in self.model_versions if v.events_served}) < 2,
        }
        return tuple(sentence for sentence, failed in checks.items() if failed)
