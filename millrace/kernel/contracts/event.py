"""One user activity, as it travels on the topic `events`."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Identifiers are opaque to Millrace; the bounds keep keys and log rows small.
MAX_ID_CHARS = 128
MAX_EVENT_ID_CHARS = 64
MIN_RATING = 0.5
MAX_RATING = 5.0
RATING = "rating"

EntityId = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS)]


class ActivityEvent(BaseModel):
    """A rating, view, purchase or any other configured kind of activity. Record key: `user_id`.

    Which types are accepted, what value each implies and which timestamps are believed depends on the
    installation and is checked by `decode_event`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)

    event_id: Annotated[str, Field(min_length=1, max_length=MAX_EVENT_ID_CHARS)] = Field(
        description="Unique per event; a repeated one among the user's remembered events changes nothing."
    )
    user_id: EntityId = Field(description="Who acted; also the record key.")
    item_id: EntityId = Field(description="What was acted on; an unknown one is registered.")
    type: Annotated[str, Field(min_length=1, max_length=32)] = Field(
        description="`rating` or a configured kind such as view, click, like, dislike, purchase."
    )
    value: float | None = Field(
        default=None, description="0.5 to 5.0; required for a rating, else the type's implied value is used."
    )
    ts_ms: int = Field(description="When it happened: milliseconds since 1970, UTC.")
    context: dict[str, str] | None = Field(default=None, description="Optional flat map kept in the event log.")
