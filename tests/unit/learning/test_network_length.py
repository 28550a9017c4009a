"""How many history entries the encoder reads."""

import pytest

from millrace.model.learning.growth import network_length
from millrace.model.network.config import DEFAULT_LENGTH
from millrace.streams.scoring.scorer import HISTORY_TENSOR_LENGTH


@pytest.mark.parametrize(
    ("events", "items", "length"),
    # The oldest tenth of ml-latest-small, and of sets like ml-100k and ml-1m.
    [
        (10_084, 9_742, DEFAULT_LENGTH),
        (10_000, 1_682, HISTORY_TENSOR_LENGTH),
        (100_000, 3_883, HISTORY_TENSOR_LENGTH),
    ],
)
def test_where_items_are_met_often_the_encoder_reads_more(events: int, items: int, length: int) -> None:
    assert network_length(events, items) == length
