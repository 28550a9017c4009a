"""How many history entries the encoder reads."""

import numpy as np
import pytest

from model.dataset.events import EventTable
from model.learning.growth import network_length
from model.network.config import DEFAULT_LENGTH
from streams.scoring.protocol import HISTORY_TENSOR_LENGTH


@pytest.mark.parametrize(
    ("events", "items", "length"),
    # The oldest tenth of ml-latest-small, and of a set like ml-100k.
    [(10_000, 3_700, DEFAULT_LENGTH), (10_000, 1_230, HISTORY_TENSOR_LENGTH)],
)
def test_where_items_are_met_often_the_encoder_reads_more(events: int, items: int, length: int) -> None:
    met = (np.arange(events) % items + 1).astype(np.int32)
    zeros = np.zeros(events)
    log = EventTable(zeros.astype(np.int32), met, zeros.astype(np.float32), np.arange(events, dtype=np.int64))
    assert network_length(log) == length
