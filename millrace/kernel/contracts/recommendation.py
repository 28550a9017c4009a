"""One served list, as it travels on the topic `recommendations`."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from millrace.kernel.contracts.event import EntityId


class ReasonCode(StrEnum):
    """Why an item is in a list.

    `new`: among the last items to be added to the catalogue, with few events. `trending`: every other item without a
    cause in the user's history.
    """

    BECAUSE_YOU_RATED = "because_you_rated"
    TRENDING = "trending"
    NEW = "new"
    EXPLORE = "explore"


class RecommendationReason(BaseModel):
    """The reason of one item; `item_id` names the item of the user's history that moved the score."""

    model_config = ConfigDict(frozen=True)

    code: ReasonCode
    item_id: EntityId | None = Field(default=None, description="Set with because_you_rated.")


class RecommendedItem(BaseModel):
    """One place of a list."""

    model_config = ConfigDict(frozen=True)

    item_id: EntityId
    rank: int = Field(ge=1, description="1 is the top of the list.")
    score: float = Field(description="Comparable within one list only.")
    predicted_rating: float | None = Field(default=None, description="On the 0.5 to 5 scale; null on a fallback.")
    reason: RecommendationReason
    propensity: float | None = Field(
        default=None,
        gt=0.0,
        le=1.0,
        description="With explore: the probability with which this item took its place; null for every other item.",
    )


class Recommendation(BaseModel):
    """A fresh list for one user, caused by one event. Record key: `user_id`.

    Delivery is at least once: both copies of a repeated list carry the same `recommendation_id`.
    """

    model_config = ConfigDict(frozen=True)

    recommendation_id: str
    user_id: EntityId
    event_id: str = Field(description="The event that caused this list.")
    source_partition: int = Field(description="Partition of that event.")
    source_offset: int = Field(description="Offset of that event.")
    event_ts_ms: int = Field(description="When the event happened, by its producer.")
    received_ts_ms: int = Field(description="When its record entered the log, by the record's timestamp.")
    generated_ts_ms: int = Field(description="When the list was made.")
    model_version: str | None = Field(description="Version that scored the list; null before the first one.")
    arm: str | None = Field(description="`champion` or `challenger`; null before the first version.")
    fallback: str | None = Field(default=None, description="Null, or why the model did not score the list.")
    items: tuple[RecommendedItem, ...]
