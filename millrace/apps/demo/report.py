"""The figures a demo run ends with, as people read them and as scripts do (`--report FILE`)."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from millrace.apps.measuring.percentiles import Percentiles

# The name under which live quality counts lists that no version has scored.
ONLINE_COUNTS = "fallback"


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

    version: str = Field(description="Name of the version; `fallback` for lists made from online counts.")
    arm: str
    encoder_events: int = Field(default=0, description="Events that the version's sequence network has learned.")
    events_served: int = Field(description="Lists this version scored.")


class DemoReport(LiveQuality):
    """Everything measured in one run of the demo; the live quality fields cover all versions together."""

    events_published: int = Field(description="Records sent to the events topic, broken ones and repeats included.")
    events_processed: int = Field(description="Events applied by workers, recognised repeats included.")
    events_duplicate: int = Field(description="Of these, repeats that changed nothing.")
    events_logged: int = Field(description="Streamed events in the event log.")
    recommendations_published: int
    dead_lettered: dict[str, int] = Field(description="By reason.")
    lists_before_first_version: int = Field(
        default=0, description="Lists made from online counts, of events received before the first version served."
    )
    fallback_lists: int = Field(description="The same of events received after that: the model did not answer.")
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
    seconds: dict[str, float] = Field(
        description="By phase; `until_stream`, `until_first_version` and `total` count from the start of the demo."
    )

    @property
    def _served_versions(self) -> set[str]:
        return {one.version for one in self.model_versions if one.events_served and one.version != ONLINE_COUNTS}

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
            "No retrained version took over.": len(self._served_versions) < 2,
        }
        return tuple(sentence for sentence, failed in checks.items() if failed)
