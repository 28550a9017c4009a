import math

import numpy as np
import pytest
from random_streams import random_stream

from millrace.streams.statistics import ItemStatistics
from millrace.streams.statistics.popularity import BUCKET_DECAY_EVENTS, DECAY_EVENTS, history_bucket


def test_decayed_counts_equal_a_plain_recomputation():
    statistics = ItemStatistics(16)
    stream = random_stream(11, 500)
    for learned in stream:
        statistics.update(learned.before, learned.event.item, learned.event.value, learned.event.ts_ms)
    popularity = statistics.popularity
    ages = (statistics.clock - popularity.last_clock)[:, None]
    decayed = popularity.decayed * np.exp(-ages / np.array(DECAY_EVENTS))
    for item in range(1, 31):
        ages = [len(stream) - 1 - at for at, learned in enumerate(stream) if learned.event.item == item]
        values = [learned.event.value for learned in stream if learned.event.item == item]
        assert statistics.popularity.counts[item] == len(ages)
        assert statistics.popularity.value_sums[item] == pytest.approx(sum(values))
        for place, decay in enumerate(DECAY_EVENTS):
            expected = sum(math.exp(-age / decay) for age in ages)
            assert decayed[item, place] == pytest.approx(expected, rel=1e-4)


def test_counts_by_history_length_add_up_to_their_totals():
    statistics = ItemStatistics(16)
    for learned in random_stream(12, 300):
        statistics.update(learned.before, learned.event.item, learned.event.value, learned.event.ts_ms)
    popularity = statistics.popularity
    ages = (statistics.clock - popularity.last_clock)[:, None]
    among = (popularity.by_history * np.exp(-ages / BUCKET_DECAY_EVENTS)).sum(axis=0)
    assert among == pytest.approx(statistics.bucket_totals, rel=1e-4)


@pytest.mark.parametrize(
    ("length", "bucket"),
    [(0, 0), (1, 1), (2, 1), (3, 2), (5, 2), (6, 3), (10, 3), (11, 4), (25, 4), (26, 5), (60, 5), (61, 6)]
    + [(120, 6), (121, 7), (250, 7), (251, 8), (5000, 8)],
)
def test_history_lengths_fall_into_nine_buckets(length, bucket):
    assert history_bucket(length) == bucket
