"""The sizes of a network; kept in the version's card so that its weights can be loaded again."""

from pydantic import BaseModel, ConfigDict, Field

from millrace.streams.scoring.scorer import HISTORY_TENSOR_LENGTH, PROPOSALS

DEFAULT_LENGTH = 50


class NetworkConfig(BaseModel):
    """Sizes and vocabularies.

    Args:
        items: Highest item index; items are 1..items.
        genres: Genre names in column order; a later version only appends.
        features: F, candidate features a request carries.
        context: U, context entries a request carries.
        width: d, of item vectors and hidden states.
        heads: Attention heads.
        blocks: Attention blocks.
        length: L, history entries the encoder reads: the newest ones of a request.
        dropout: Share of hidden units dropped in training.
        id_dropout: Share of items that a training step sees by their content alone.
        ranker_units: Hidden units of the re-ranker's two layers.
    """

    model_config = ConfigDict(frozen=True)

    items: int = Field(ge=1)
    genres: tuple[str, ...] = ()
    features: int = Field(ge=1)
    context: int = Field(ge=1)
    width: int = 64
    heads: int = 2
    blocks: int = 2
    length: int = Field(default=DEFAULT_LENGTH, ge=1, le=HISTORY_TENSOR_LENGTH)
    dropout: float = 0.3
    id_dropout: float = 0.25
    ranker_units: tuple[int, int] = (128, 64)

    @property
    def rows(self) -> int:
        """Rows of every item table: padding, the items, and enough spare rows for a full list of proposals."""
        return max(self.items, PROPOSALS) + 1
