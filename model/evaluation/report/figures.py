"""The figures of one evaluation as data: what `--report` writes and the page is drawn from."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Bounds = tuple[float, float]


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True)


class SliceFigures(_Figures):
    """One group of graded events."""

    events: int
    share: float = Field(description="Of all graded events.")
    hit_rate_at_10: float
    ndcg_at_10: float
    intervals: dict[str, Bounds] = Field(description="95 %, bootstrap by user; by figure.")
    baselines: dict[str, float] = Field(description="Hit rate at 10 on the same events, by system.")


class Gap(_Figures):
    """The two groups of a cut that are served most differently."""

    lowest: str
    highest: str
    hit_rate_difference: float
    interval: Bounds
    sentence: str


class ListShape(_Figures):
    """What the lists look like, whoever was right."""

    coverage: float = Field(description="Share of the available catalogue that was shown at least once.")
    novelty: float = Field(description="Mean -log2 of the popularity share of a shown item, in bits.")
    list_diversity: float = Field(description="Mean 1 - Jaccard of the genres of two items of a list.")
    concentration: float = Field(description="Gini coefficient of how often the items are shown.")


class SystemFigures(ListShape):
    """One system on all graded events."""

    hit_rate_at_10: float
    ndcg_at_10: float
    mrr: float = Field(description="1 / place of the item in all that was ranked, 0 where it was not.")
    intervals: dict[str, Bounds] = Field(description="95 %, bootstrap by user; by figure.")
    seconds: float


class BaselineFigures(SystemFigures):
    """One baseline on the same events."""

    hit_rate_behind: float = Field(description="The system's hit rate less this one's.")
    hit_rate_behind_interval: Bounds = Field(description="Of the difference, on the same resamples of users.")


class ErrorFigures(_Figures):
    """Errors of predicted ratings, in stars."""

    rmse: float
    mae: float


class RatingComparison(_Figures):
    """Predicted ratings of some events."""

    events: int
    rmse: float
    mae: float
    intervals: dict[str, Bounds]
    user_item_bias: ErrorFigures
    global_mean: ErrorFigures
    rmse_below_user_item_bias: float = Field(description="Share by which the RMSE is below that of user+item bias.")


class CalibrationFigures(_Figures):
    """Events of about the same predicted rating."""

    events: int
    predicted: float
    actual: float


class PredictedRatings(RatingComparison):
    """All graded events that have a predicted rating, and those of the last tenth of the stream by themselves."""

    last_tenth: RatingComparison | None
    calibration: list[CalibrationFigures]


class Block(_Figures):
    """A stretch of the graded part."""

    last_row: int
    ts_ms: int
    events: int
    hit_rate_at_10: dict[str, float]
    ndcg_at_10: dict[str, float]


class ShownCurve(_Figures):
    """Which share of all shown places goes to the most shown share of the catalogue."""

    catalogue: list[float]
    shown: dict[str, list[float]]


class DiversityPoint(_Figures):
    """What one setting of the diversity rule costs."""

    setting: float
    list_diversity: float
    hit_rate_at_10: float
    interval: Bounds


class DataFacts(_Figures):
    """What the stream is like, as far as it was read."""

    events: int
    users: int
    items: int = Field(description="In the catalogue.")
    items_with_events: int
    events_per_user_median: float
    density: float = Field(description="Events / (users * items with events).")
    days: float
    same_second_share: float = Field(description="Of the events after a user's first: in the second of the one before.")
    session_share: float = Field(description="Of the same: within 30 minutes of the one before.")
    events_per_session: float
    first_day_share: float = Field(description="Of all events: within 24 hours of the user's first.")
    first_ever_share: float = Field(description="Of the graded events: the first one of its item.")
    mean_rating: float


class PrequentialReport(SystemFigures):
    """Everything measured in one prequential evaluation; figures without a group are the system's."""

    system: str
    events_graded: int
    baselines: dict[str, BaselineFigures]
    by_history_length: dict[str, SliceFigures]
    first_events_of_users: dict[str, SliceFigures]
    cold_items: SliceFigures = Field(description="Events that are the first of their item.")
    by_genre: dict[str, SliceFigures]
    by_user_activity: dict[str, SliceFigures]
    by_gap: dict[str, SliceFigures]
    by_gender: dict[str, SliceFigures]
    by_age: dict[str, SliceFigures]
    largest_gaps: dict[str, Gap]
    predicted_rating: PredictedRatings | None
    over_time: list[Block]
    shown_curve: ShownCurve
    diversity_curve: list[DiversityPoint] = Field(default=[], description="The system at other settings of diversity.")
    seconds_by_phase: dict[str, float]
    ms_per_event: dict[str, float] = Field(
        description="`all` and `statistics` per event of the stream, the phases of a list per list."
    )
    counts: dict[str, float]
    data: DataFacts
    protocol: dict[str, Any]
    leaks: tuple[str, ...] = Field(description="Reasons to believe that the system knew what it was asked.")

    @property
    def systems(self) -> dict[str, SystemFigures]:
        """The system, then the baselines, by name."""
        return {self.system: self, **self.baselines}
