"""One catalogue entry, as it travels on the topic `items`."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticKnownError

from millrace.kernel.contracts.event import EntityId

AttributeValue = str | float | int | bool

_LEAST_INTEGER, _LARGEST_INTEGER = -(2**63), 2**63 - 1


class CatalogueItem(BaseModel):
    """An upsert of one item: the newest record for an `item_id` replaces the older. Record key: `item_id`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)

    item_id: EntityId = Field(description="The item's identifier; also the record key.")
    title: Annotated[str, Field(max_length=1000)] = Field(default="", description="Shown to people.")
    genres: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        default=(),
        max_length=32,
        strict=False,
        description="Categories; used for content features and reasons.",
    )
    year: Annotated[int, Field(ge=1000, le=3000)] | None = Field(default=None, description="Year of release.")
    available: bool = Field(default=True, description="False: never recommended until it is true again.")
    attributes: dict[str, AttributeValue] | None = Field(
        default=None, description="Optional flat map; integers have 64 bits."
    )

    @field_validator("attributes")
    @classmethod
    def _check_integers(cls, attributes: dict[str, AttributeValue] | None) -> dict[str, AttributeValue] | None:
        """Refuse integers that stores and readers of JSON cannot hold; bounds in the type would make them floats."""
        for value in (attributes or {}).values():
            if isinstance(value, int) and value > _LARGEST_INTEGER:
                raise PydanticKnownError("less_than_equal", {"le": _LARGEST_INTEGER})
            if isinstance(value, int) and value < _LEAST_INTEGER:
                raise PydanticKnownError("greater_than_equal", {"ge": _LEAST_INTEGER})
        return attributes
