"""The part of a model version's card that workers need; stored in Redis under `model:<version>`."""

from pydantic import BaseModel, ConfigDict


class ServingCard(BaseModel):
    """The serving side of a version's card.

    Args:
        version: Name of the version, sortable, e.g. `v000003`.
        triton_model: Name under which Triton serves it.
        items: Highest item index the version was built with; higher ones are new to it.
        vector_width: Width of the item vectors kept under `model:<version>:vectors`.
        feature_names: [F] names in tensor order; a worker refuses a version whose names are not its own.
        context_names: [U] likewise.
        weights: [F] linear fusion weights.
        context_weights: [U][F] additions to the weights per unit of each context entry.
    """

    model_config = ConfigDict(frozen=True)

    version: str
    triton_model: str
    items: int
    vector_width: int
    feature_names: tuple[str, ...]
    context_names: tuple[str, ...]
    weights: tuple[float, ...]
    context_weights: tuple[tuple[float, ...], ...]
